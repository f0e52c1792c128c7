"""For each rule, settings that break it and near ones that do not."""

from __future__ import annotations

from typing import Any

from dataset_rule_cases import DATASET_CASES

GREEDY = {"decoder.do_sample": False}
BEAMS = {"pytorch.num_beams": 4, **GREEDY}
FREE = {"fixed_output": False}
ASSISTANT = {"pytorch.assistant_model": "random:llama?seed=8"}
NOT_CONTINUOUS: dict[str, dict[str, Any]] = {
    "beams": BEAMS,
    "prompt-lookup": {"pytorch.prompt_lookup_num_tokens": 3},
    "assistant": ASSISTANT,
    "no-cache": {"pytorch.use_cache": False},
    "cache": {"pytorch.cache_implementation": "dynamic"},
    "prefill-chunks": {"pytorch.prefill_chunk_size": 4},
    "compile": {"pytorch.torch_compile": True},
    "compile-config": {
        "pytorch.compile_config": {"mode": "default"},
        "pytorch.cache_implementation": "static",
    },
    "ngrams": {"pytorch.no_repeat_ngram_size": 2},
    "repetition-penalty": {"decoder.repetition_penalty": 0.9},
    "min-tokens": {"decoder.min_new_tokens": 4, **FREE},
    "tensor-parallel": {"pytorch.tp_size": 2},
    "inference-mode": {"pytorch.inference_mode": True},
}

# rule id, settings that break it, settings next to them that don't
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "quantization-4bit-or-8bit",
        {"pytorch.load_in_4bit": True, "pytorch.load_in_8bit": True},
        {"pytorch.load_in_4bit": False, "pytorch.load_in_8bit": True},
    ),
    (
        "quantization-config-or-4bit",
        {"pytorch.quantization_config": {"quant_method": "fp8"}, "pytorch.load_in_4bit": True},
        {"pytorch.quantization_config": {"quant_method": "fp8"}, "pytorch.load_in_4bit": False},
    ),
    (
        "quantization-config-or-8bit",
        {"pytorch.quantization_config": {"quant_method": "fp8"}, "pytorch.load_in_8bit": True},
        {"pytorch.quantization_config": {"quant_method": "fp8"}},
    ),
    ("bnb-compute-dtype-needs-4bit", {"pytorch.bnb_4bit_compute_dtype": "float16"}, {"pytorch.load_in_8bit": True}),
    (
        "bnb-quant-type-needs-4bit",
        {"pytorch.bnb_4bit_quant_type": "fp4", "pytorch.load_in_4bit": False},
        {"pytorch.bnb_4bit_quant_type": "fp4", "pytorch.load_in_4bit": True},
    ),
    (
        "bnb-double-quant-needs-4bit",
        {"pytorch.bnb_4bit_use_double_quant": True},
        {"pytorch.bnb_4bit_use_double_quant": True, "pytorch.load_in_4bit": True},
    ),
    (
        "quantization-4bit-library-defaults",
        {"pytorch.load_in_4bit": True, "pytorch.bnb_4bit_quant_type": "nf4"},
        {
            "pytorch.load_in_4bit": True,
            "pytorch.bnb_4bit_quant_type": "nf4",
            "pytorch.bnb_4bit_compute_dtype": "float16",
        },
    ),
    (
        "compile-mode-needs-compile",
        {"pytorch.torch_compile_mode": "default"},
        {"pytorch.torch_compile_mode": "default", "pytorch.torch_compile": True},
    ),
    (
        "compile-mode-needs-inductor",
        {
            "pytorch.torch_compile": True,
            "pytorch.torch_compile_mode": "max-autotune",
            "pytorch.torch_compile_backend": "eager",
        },
        {
            "pytorch.torch_compile": True,
            "pytorch.torch_compile_mode": "default",
            "pytorch.torch_compile_backend": "eager",
        },
    ),
    (
        "compile-backend-needs-compile",
        {"pytorch.torch_compile_backend": "inductor", "pytorch.torch_compile": False},
        {"pytorch.torch_compile_backend": "inductor", "pytorch.torch_compile": True},
    ),
    (
        "cache-implementation-needs-cache",
        {"pytorch.cache_implementation": "dynamic", "pytorch.use_cache": False},
        {"pytorch.cache_implementation": "dynamic", "pytorch.use_cache": True},
    ),
    ("early-stopping-needs-beams", {"pytorch.early_stopping": "never"}, {"pytorch.early_stopping": False}),
    (
        "early-stopping-fixed-output",
        {"pytorch.early_stopping": True, **BEAMS},
        {"pytorch.early_stopping": True, **BEAMS, **FREE},
    ),
    (
        "length-penalty-needs-beams",
        {"pytorch.length_penalty": 2.0, "pytorch.num_beams": 1},
        {"pytorch.length_penalty": 1.0},
    ),
    (
        "length-penalty-fixed-output",
        {"pytorch.length_penalty": 2.0, **BEAMS},
        {"pytorch.length_penalty": 2.0, **BEAMS, **FREE},
    ),
    ("beams-with-sampling", {"pytorch.num_beams": 2}, BEAMS),
    (
        "prompt-lookup-needs-single-batch",
        {"pytorch.prompt_lookup_num_tokens": 3, "pytorch.batch_size": 2},
        {"pytorch.prompt_lookup_num_tokens": 3},
    ),
    (
        "prompt-lookup-excludes-beams",
        {"pytorch.prompt_lookup_num_tokens": 3, **BEAMS},
        {"pytorch.prompt_lookup_num_tokens": 3, "pytorch.num_beams": 1},
    ),
    (
        "prompt-lookup-needs-cache",
        {"pytorch.prompt_lookup_num_tokens": 3, "pytorch.use_cache": False},
        {"pytorch.prompt_lookup_num_tokens": 3, "pytorch.use_cache": True},
    ),
    (
        "prompt-lookup-excludes-static-cache",
        {"pytorch.prompt_lookup_num_tokens": 3, "pytorch.cache_implementation": "offloaded_static"},
        {"pytorch.prompt_lookup_num_tokens": 3, "pytorch.cache_implementation": "dynamic"},
    ),
    (
        "max-memory-needs-automatic-map",
        {"pytorch.max_memory": {"cpu": "1GiB"}, "pytorch.device_map": "cpu"},
        {"pytorch.max_memory": {"cpu": "1GiB"}, "pytorch.device_map": "balanced"},
    ),
    (
        "processes-above-prompts",
        {"pytorch.num_processes": 4, "n_prompts": 3},
        {"pytorch.num_processes": 3, "n_prompts": 3},
    ),
    (
        "processes-exclude-device-map",
        {"pytorch.num_processes": 2, "pytorch.device_map": "auto"},
        {"pytorch.num_processes": 1, "pytorch.device_map": "auto"},
    ),
    (
        "processes-exclude-max-memory",
        {"pytorch.num_processes": 2, "pytorch.max_memory": {"cpu": "1GiB"}},
        {"pytorch.num_processes": 2},
    ),
    (
        "devices-exclude-processes",
        {"pytorch.devices": 2, "pytorch.num_processes": 2},
        {"pytorch.devices": 2, "pytorch.num_processes": 1},
    ),
    (
        "devices-exclude-tensor-parallel",
        {"pytorch.devices": 2, "pytorch.tp_size": 2},
        {"pytorch.devices": 2, "pytorch.tp_size": 1},
    ),
    (
        "devices-clash-with-map",
        {"pytorch.devices": 2, "pytorch.device_map": "cuda:0"},
        {"pytorch.devices": 2, "pytorch.device_map": "auto"},
    ),
    ("tensor-or-data-parallel", {"pytorch.tp_size": 2, "pytorch.num_processes": 2}, {"pytorch.tp_size": 2}),
    (
        "tensor-parallel-excludes-device-map",
        {"pytorch.tp_size": 2, "pytorch.device_map": "cpu"},
        {"pytorch.tp_size": 1, "pytorch.device_map": "cpu"},
    ),
    (
        "tensor-parallel-excludes-max-memory",
        {"pytorch.tp_size": 2, "pytorch.max_memory": {"cpu": "1GiB"}},
        {"pytorch.tp_size": 2},
    ),
    ("tp-plan-needs-size", {"pytorch.tp_plan": "auto"}, {"pytorch.tp_plan": "auto", "pytorch.tp_size": 2}),
    *(
        (
            f"continuous-excludes-{name}",
            {"pytorch.batching": "continuous", **other},
            {"pytorch.batching": "static", **other},
        )
        for name, other in NOT_CONTINUOUS.items()
    ),
    (
        "prefill-chunks-need-cache",
        {"pytorch.prefill_chunk_size": 4, "pytorch.use_cache": False},
        {"pytorch.prefill_chunk_size": 4},
    ),
    (
        "prefill-chunks-exclude-prompt-lookup",
        {"pytorch.prefill_chunk_size": 4, "pytorch.prompt_lookup_num_tokens": 3},
        {"pytorch.prompt_lookup_num_tokens": 3},
    ),
    ("prefill-chunks-exclude-assistant", {**ASSISTANT, "pytorch.prefill_chunk_size": 4}, ASSISTANT),
    (
        "assistant-needs-single-batch",
        {**ASSISTANT, "pytorch.batch_size": 2},
        {**ASSISTANT, "pytorch.batch_size": 1},
    ),
    ("assistant-excludes-beams", {**ASSISTANT, **BEAMS}, {**ASSISTANT, **GREEDY}),
    ("assistant-needs-cache", {**ASSISTANT, "pytorch.use_cache": False}, ASSISTANT),
    (
        "assistant-excludes-static-cache",
        {**ASSISTANT, "pytorch.cache_implementation": "static"},
        {**ASSISTANT, "pytorch.cache_implementation": "dynamic"},
    ),
    ("assistant-or-prompt-lookup", {**ASSISTANT, "pytorch.prompt_lookup_num_tokens": 3}, ASSISTANT),
    (
        "assistant-revision-needs-assistant",
        {"pytorch.assistant_revision": "main"},
        {"pytorch.assistant_revision": "main", "pytorch.assistant_model": "org/name"},
    ),
    (
        "assistant-revision-needs-revisions",
        {"pytorch.assistant_revision": "main", **ASSISTANT},
        {"pytorch.assistant_revision": "main", "pytorch.assistant_model": "org/name"},
    ),
    (
        "adapter-revision-needs-adapter",
        {"pytorch.adapter_revision": "main"},
        {"pytorch.adapter_revision": "main", "pytorch.adapter": "org/lora"},
    ),
    (
        "adapter-revision-needs-revisions",
        {"pytorch.adapter_revision": "main", "pytorch.adapter": "./lora"},
        {"pytorch.adapter_revision": "main", "pytorch.adapter": "org/lora"},
    ),
    (
        "compile-config-needs-static-cache",
        {"pytorch.compile_config": {"mode": "default"}},
        {"pytorch.compile_config": {"mode": "default"}, "pytorch.cache_implementation": "static"},
    ),
    (
        "compile-once",
        {
            "pytorch.compile_config": {"mode": "default"},
            "pytorch.cache_implementation": "static",
            "pytorch.torch_compile": True,
        },
        {"pytorch.compile_config": {"mode": "default"}, "pytorch.cache_implementation": "static"},
    ),
    (
        "sliding-window-deprecated",
        {"pytorch.cache_implementation": "sliding_window"},
        {"pytorch.cache_implementation": "static"},
    ),
    (
        "static-cache-batch",
        {"pytorch.cache_implementation": "static", "pytorch.batch_size": 2},
        {
            "pytorch.cache_implementation": "static",
            "pytorch.batch_size": 2,
            "dataset.source": "synthetic",
            "dataset.tokens": 8,
        },
    ),
    (
        "flash-attention-needs-half-precision",
        {"pytorch.attn_implementation": "flash_attention_2", "precision": "fp32"},
        {"pytorch.attn_implementation": "flash_attention_2", "precision": "fp16"},
    ),
    (
        "paged-attention-needs-continuous",
        {"pytorch.attn_implementation": "paged|eager"},
        {"pytorch.attn_implementation": "paged|eager", "pytorch.batching": "continuous"},
    ),
    ("batch-above-prompts", {"pytorch.batch_size": 101}, {"pytorch.batch_size": 100}),
    ("sampler-needs-sampling", {"decoder.temperature": 0.7, **GREEDY}, {"decoder.top_k": 50, **GREEDY}),
    ("min-p-needs-sampling", {"decoder.min_p": 0.1, **GREEDY}, {"decoder.min_p": 0.1}),
    ("temperature-zero-sampling", {"decoder.temperature": 0.0}, {"decoder.temperature": 0.01}),
    ("temperature-zero-greedy", {"decoder.temperature": 0.0, **GREEDY}, GREEDY),
    (
        "min-tokens-above-max",
        {"decoder.min_new_tokens": 129, **FREE},
        {"decoder.min_new_tokens": 128, **FREE},
    ),
    ("min-tokens-fixed-output", {"decoder.min_new_tokens": 8}, {"decoder.min_new_tokens": 8, **FREE}),
    ("revision-needs-revisions", {"pytorch.revision": "main"}, {"model": "org/name", "pytorch.revision": "main"}),
    (
        "remote-code-needs-code",
        {"pytorch.trust_remote_code": True},
        {"pytorch.trust_remote_code": True, "model": "org/name"},
    ),
    *DATASET_CASES,
    ("warmup-timeout-below-window", {"warmup.temperature_timeout_s": 59.0}, {"warmup.temperature_timeout_s": 60.0}),
    ("warmup-window-above-passes", {"warmup.cv_window": 5, "warmup.max_passes": 4}, {"warmup.cv_window": 20}),
    ("warmup-fixed-passes", {"warmup.passes": 2, "warmup.cv_threshold": 0.1}, {"warmup.passes": 2}),
    ("baseline-off", {"baseline.enabled": False, "baseline.duration_s": 1.0}, {"baseline.enabled": False}),
    ("meters-repeated", {"energy.meters": ["nvml", "nvml"]}, {"energy.meters": ["nvml", "codecarbon"]}),
    (
        "meter-setting-unused",
        {"energy.meters": ["codecarbon"], "energy.power_interval_s": 0.2},
        {"energy.meters": ["rapl", "codecarbon"], "energy.power_interval_s": 0.2},
    ),
    (
        "passthrough-names-setting",
        {"passthrough_kwargs.generate.num_beams": 2},
        {"passthrough_kwargs.generate.epsilon_cutoff": 0.9},
    ),
    (
        "passthrough-unread",
        {"passthrough_kwargs.continuous_batching.page_size": 32},
        {"passthrough_kwargs.continuous_batching.page_size": 32, "pytorch.batching": "continuous"},
    ),
    (
        "passthrough-unread",
        {"passthrough_kwargs.bitsandbytes.llm_int8_threshold": 5.0, "pytorch.load_in_8bit": False},
        {"passthrough_kwargs.bitsandbytes.llm_int8_threshold": 5.0, "pytorch.load_in_8bit": True},
    ),
    (
        "passthrough-ends-fixed-output",
        {"passthrough_kwargs.generate.eos_token_id": 7},
        {"passthrough_kwargs.generate.eos_token_id": 7, **FREE},
    ),
    (
        "passthrough-reserved",
        {"passthrough_kwargs.generate.num_return_sequences": 2},
        {"passthrough_kwargs.generate.eta_cutoff": 0.4},
    ),
]
