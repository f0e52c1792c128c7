"""For every parameter an experiment on a tiny model in which its effect is seen, and how a run without it differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from bitsandbytes.functional import has_avx512bf16

from llenergymeasure.engine.generation.keywords import page_option

TINY_DRAFT = (
    "random:llama?hidden_size=16&intermediate_size=32&num_hidden_layers=1"
    "&num_attention_heads=2&num_key_value_heads=1&vocab_size=300&seed=3"
)
SAMPLING = {"do_sample": True}
FOUR_BIT = {"load_in_4bit": True}
FREE = {"fixed_output": False}
PAGE = page_option()
OFFLOADED = {
    **dict.fromkeys(("model.embed_tokens", "model.layers.0", "model.norm", "model.rotary_emb", "lm_head"), "cpu"),
    "model.layers.1": "disk",
}
COMPILED = {"torch_compile": True, "torch_compile_backend": "eager"}

# Dotted path, the settings of the experiment.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("precision", {"precision": "fp16"}),
    ("max_input_tokens", {"max_input_tokens": 9}),
    ("max_output_tokens", {"max_output_tokens": 5}),
    ("random_seed", {"random_seed": 7}),
    ("cpu_threads", {"cpu_threads": 3}),
    ("pytorch.batch_size", {"pytorch": {"batch_size": 2}}),
    ("pytorch.batching", {"pytorch": {"batching": "continuous"}}),
    ("pytorch.batch_size", {"pytorch": {"batching": "continuous", "batch_size": 2}}),
    ("pytorch.attn_implementation", {"pytorch": {"attn_implementation": "eager"}}),
    ("pytorch.inference_mode", {"pytorch": {"inference_mode": True}}),
    (
        "pytorch.quantization_config",
        {"pytorch": {"quantization_config": {"quant_method": "quanto", "weights": "int8"}}},
    ),
    (
        "pytorch.quantization_config",
        {
            "pytorch": {
                "quantization_config": {
                    "quant_method": "torchao",
                    "quant_type": "Int8DynamicActivationIntxWeightConfig",
                    "weight_dtype": "int4",
                    "weight_granularity": {"type": "PerGroup", "group_size": 32},
                    "modules_to_not_convert": ["lm_head", ".*down_proj"],
                }
            }
        },
    ),
    (
        "pytorch.quantization_config",
        {"pytorch": {"quantization_config": {"quant_method": "bitsandbytes_8bit", "llm_int8_threshold": 3.0}}},
    ),
    ("pytorch.load_in_8bit", {"pytorch": {"load_in_8bit": True}}),
    ("pytorch.load_in_4bit", {"pytorch": FOUR_BIT}),
    ("pytorch.bnb_4bit_quant_type", {"pytorch": {**FOUR_BIT, "bnb_4bit_quant_type": "nf4"}}),
    ("pytorch.bnb_4bit_use_double_quant", {"pytorch": {**FOUR_BIT, "bnb_4bit_use_double_quant": True}}),
    ("pytorch.bnb_4bit_compute_dtype", {"pytorch": {**FOUR_BIT, "bnb_4bit_compute_dtype": "bfloat16"}}),
    ("pytorch.bnb_4bit_compute_dtype", {"pytorch": {**FOUR_BIT, "bnb_4bit_compute_dtype": "float16"}}),
    ("pytorch.torch_compile", {"pytorch": COMPILED}),
    ("pytorch.torch_compile_backend", {"pytorch": COMPILED}),
    ("pytorch.use_cache", {"pytorch": {"use_cache": False}}),
    ("pytorch.cache_implementation", {"pytorch": {"cache_implementation": "static"}}),
    (
        "pytorch.cache_implementation",
        {
            "pytorch": {"cache_implementation": "quantized"},
            # The library's own group of 64 does not divide so small a cache.
            "passthrough_kwargs": {"generate": {"cache_config": {"backend": "quanto", "q_group_size": 16}}},
        },
    ),
    ("pytorch.prefill_chunk_size", {"pytorch": {"prefill_chunk_size": 8}}),
    ("pytorch.num_beams", {"pytorch": {"num_beams": 2}}),
    ("pytorch.early_stopping", {**FREE, "pytorch": {"num_beams": 2, "early_stopping": "never"}}),
    ("pytorch.early_stopping", {**FREE, "pytorch": {"num_beams": 2, "early_stopping": True}}),
    ("pytorch.length_penalty", {**FREE, "pytorch": {"num_beams": 2, "length_penalty": 2.0}}),
    ("pytorch.no_repeat_ngram_size", {"pytorch": {"no_repeat_ngram_size": 2}}),
    ("pytorch.prompt_lookup_num_tokens", {"pytorch": {"prompt_lookup_num_tokens": 3}}),
    ("pytorch.assistant_model", {"pytorch": {"assistant_model": TINY_DRAFT}}),
    ("pytorch.assistant_model", {"precision": "bf16", "pytorch": {"assistant_model": TINY_DRAFT}}),
    ("pytorch.device_map", {"pytorch": {"device_map": OFFLOADED}}),
    ("pytorch.max_memory", {"pytorch": {"max_memory": {"cpu": "60KB"}}}),
    ("pytorch.adapter", {"pytorch": {"adapter": "ADAPTER"}}),
    ("decoder.do_sample", {"decoder": SAMPLING}),
    ("decoder.temperature", {"decoder": {**SAMPLING, "temperature": 0.5}}),
    ("decoder.temperature", {"precision": "bf16", "decoder": {**SAMPLING, "temperature": 1.7}}),
    ("decoder.top_k", {"decoder": {**SAMPLING, "top_k": 7}}),
    ("decoder.top_p", {"decoder": {**SAMPLING, "top_p": 0.8}}),
    ("decoder.min_p", {"decoder": {**SAMPLING, "min_p": 0.01}}),
    ("decoder.typical_p", {"decoder": {**SAMPLING, "typical_p": 0.6}}),
    ("decoder.top_h", {"decoder": {**SAMPLING, "top_h": 0.5}}),
    ("decoder.repetition_penalty", {"decoder": {**SAMPLING, "repetition_penalty": 1.3}}),
    ("decoder.min_new_tokens", {**FREE, "decoder": {**SAMPLING, "min_new_tokens": 6}}),
]
"""Laid over the quick study of `harness`, which is greedy, in fp32, one prompt at a time, on one thread."""


ONE_KERNEL = has_avx512bf16() and not torch.cuda.is_available()
"""Whether bitsandbytes has a kernel of its own for this processor, which takes the place of all others."""


def undone_here(settings: Mapping[str, Any]) -> set[str]:
    """Which of the settings bitsandbytes undoes on this machine: AVX-512 BF16 has one kernel, for plain scales."""
    pytorch = settings.get("pytorch", {})
    if not ONE_KERNEL or not pytorch.get("load_in_4bit"):
        return set()
    compute = pytorch.get("bnb_4bit_compute_dtype") in ("float16", "float32")
    names = {"bnb_4bit_compute_dtype": compute, "bnb_4bit_use_double_quant": pytorch.get("bnb_4bit_use_double_quant")}
    return {f"pytorch.{name}" for name, undone in names.items() if undone}


PASSED: list[tuple[str, dict[str, Any]]] = [
    (
        "passthrough_kwargs.from_pretrained.low_cpu_mem_usage",
        {"passthrough_kwargs": {"from_pretrained": {"low_cpu_mem_usage": True}}},
    ),
    (
        "passthrough_kwargs.bitsandbytes.llm_int8_threshold",
        {"pytorch": {"load_in_8bit": True}, "passthrough_kwargs": {"bitsandbytes": {"llm_int8_threshold": 3.0}}},
    ),
    (
        "passthrough_kwargs.generate.epsilon_cutoff",
        {"decoder": SAMPLING, "passthrough_kwargs": {"generate": {"epsilon_cutoff": 0.0003}}},
    ),
    (
        "passthrough_kwargs.compile.dynamic",
        {"pytorch": COMPILED, "passthrough_kwargs": {"compile": {"dynamic": True}}},
    ),
    (
        f"passthrough_kwargs.continuous_batching.{PAGE}",
        {"pytorch": {"batching": "continuous"}, "passthrough_kwargs": {"continuous_batching": {PAGE: 32}}},
    ),
]
"""Keywords that are passed through: no probe looks for their effect, but it is seen that the call got them."""

ELSEWHERE = {
    "dataset.system_prompt": "tests/measurement/prompts/test_template_evidence.py",
    "dataset.chat_template_kwargs": "tests/measurement/prompts/test_template_evidence.py",
    "pytorch.devices": "tests/engine/evidence/test_device_probes.py, tests/pipeline/test_many_gpus.py",
    "pytorch.num_processes": "tests/measurement/worker/test_replicas.py",
    "pytorch.tp_size": "tests/measurement/worker/test_replicas.py",
    "pytorch.tp_plan": "tests/measurement/worker/test_replicas.py",
    "pytorch.revision": "tests/models/hub/test_hub_study.py",
    "pytorch.assistant_revision": "tests/models/hub/test_hub_study.py",
    "pytorch.adapter_revision": "tests/models/hub/test_hub_study.py",
    "pytorch.trust_remote_code": "tests/models/hub/test_hub_study.py",
    "pytorch.torch_compile_mode": "tests/pipeline/test_compiled.py",
    "pytorch.compile_config": "tests/engine/evidence/test_evidence.py, tests/gpu/test_gpu_study.py",
    "pytorch.allow_tf32": "tests/gpu/test_gpu_study.py",
}
"""Parameters whose effect takes a chat template, processes, a hub, a compiler or a GPU, and where it is tried."""
