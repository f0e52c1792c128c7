"""The combinations people use: each setting takes effect beside the others, or the library says why it cannot."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from engine.cases import FREE, SAMPLING, TINY_DRAFT, undone_here
from engine.conftest import ADAPTER, Runner

from llenergymeasure.engine.evidence import collect
from llenergymeasure.engine.failure import ExperimentFailure

NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "bfloat16"}
COMPILED = {"torch_compile": True, "torch_compile_backend": "eager"}
QUANTO = {"generate": {"cache_config": {"backend": "quanto", "q_group_size": 16}}}


def all_applied(run: Runner, **settings: Any) -> dict[str, dict[str, Any]]:
    evidence = run(**settings).evidence
    ignored = {path for path, entry in evidence.items() if entry["verdict"] == "ignored"}
    assert ignored == undone_here(settings), {path: evidence[path] for path in ignored}
    return evidence


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "double", "compute"),
    list(itertools.product(("nf4", "fp4"), (True, False), ("float16", "bfloat16", "float32"))),
)
def test_four_bits_in_every_form(run: Runner, kind: str, double: bool, compute: str) -> None:
    settings = {"bnb_4bit_quant_type": kind, "bnb_4bit_use_double_quant": double, "bnb_4bit_compute_dtype": compute}
    pytorch = {"load_in_4bit": True, **settings}
    evidence = all_applied(run, precision="bf16", pytorch=pytorch)
    for name, value in settings.items():
        if f"pytorch.{name}" not in undone_here({"pytorch": pytorch}):
            assert (evidence[f"pytorch.{name}"]["effective"], evidence[f"pytorch.{name}"]["verdict"]) == (
                value,
                "applied",
            )


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"pytorch": {**COMPILED, "cache_implementation": "static"}}, marks=pytest.mark.slow),
        {"pytorch": {**COMPILED, "cache_implementation": "static", "num_beams": 2}},
        pytest.param({"pytorch": {**COMPILED, **NF4}, "precision": "bf16"}, marks=pytest.mark.slow),
        {"pytorch": {"load_in_8bit": True, "num_beams": 2, "batch_size": 2}, "precision": "fp16"},
        {"pytorch": {"prompt_lookup_num_tokens": 3}, "decoder": {**SAMPLING, "top_p": 0.9}},
        {"pytorch": {"assistant_model": TINY_DRAFT}, "decoder": {**SAMPLING, "temperature": 0.7}},
        {"pytorch": {"adapter": ADAPTER, **NF4}, "precision": "bf16"},
        {"pytorch": {"adapter": ADAPTER, "num_beams": 2, "cache_implementation": "static"}},
        {
            "pytorch": {"batching": "continuous", "batch_size": 2},
            "precision": "bf16",
            "decoder": {**SAMPLING, "top_k": 5},
        },
        {"pytorch": {"batching": "continuous", **NF4}, "precision": "bf16"},
        {"pytorch": {"prefill_chunk_size": 8, "cache_implementation": "static", "batch_size": 3}},
        pytest.param(
            {"pytorch": {"cache_implementation": "quantized", "num_beams": 2}, "passthrough_kwargs": QUANTO},
            marks=pytest.mark.slow,
        ),
        {"pytorch": {"use_cache": False, "num_beams": 2, "no_repeat_ngram_size": 2}},
        {**FREE, "pytorch": {"num_beams": 3, "early_stopping": True, "length_penalty": 0.5, "batch_size": 3}},
        {"decoder": {**SAMPLING, "temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0.01, "typical_p": 0.9}},
    ],
    ids=lambda settings: "-".join([*settings.get("pytorch", {}), *settings.get("decoder", {})]),
)
def test_together(run: Runner, settings: dict[str, Any]) -> None:
    evidence = all_applied(run, **settings)
    for section in ("pytorch", "decoder"):
        for name in settings.get(section, {}):
            assert evidence[f"{section}.{name}"]["verdict"] == "applied", name


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device can offload")
@pytest.mark.parametrize("kind", ["offloaded", "offloaded_static"])
def test_a_cache_that_needs_cuda_fails_with_the_librarys_reason(run: Runner, kind: str) -> None:
    with pytest.raises(ExperimentFailure) as failure:
        run(pytorch={"cache_implementation": kind})
    assert failure.value.stage == "generate"
    assert failure.value.reason


def test_a_draft_model_with_another_vocabulary_is_refused(run: Runner) -> None:
    with pytest.raises(ExperimentFailure, match="draft models with another tokenizer are not measured"):
        run(pytorch={"assistant_model": TINY_DRAFT.replace("vocab_size=300", "vocab_size=310")})


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device has TF32")
def test_tf32_cannot_be_seen_without_a_cuda_device(run: Runner) -> None:
    entry = run(pytorch={"allow_tf32": True}).evidence["pytorch.allow_tf32"]
    assert entry["verdict"] == "unverifiable"
    assert "not on a CUDA device" in entry["observed"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="transformers compiles on a CUDA device")
def test_transformers_compiles_on_accelerators_only_and_the_evidence_says_so(run: Runner) -> None:
    settings = {"cache_implementation": "static", "compile_config": {"backend": "eager"}}
    asked = run(pytorch=settings)
    assert asked.evidence["pytorch.compile_config"]["verdict"] == "ignored"
    # The library has a switch of its own for tests, which compiles on every device.
    generator = asked.generator
    generator.keywords["compile_config"]._compile_all_devices = True  # type: ignore[index]
    from llenergymeasure.engine.evidence import observe

    observe(asked.observation, generator)
    entry = collect(asked.config, asked.observation)["pytorch.compile_config"]
    assert entry["verdict"] == "applied", entry


def test_a_keyword_that_is_passed_through_says_which_call_took_it(run: Runner) -> None:
    passed = {
        "from_pretrained": {"low_cpu_mem_usage": True},
        "generate": {"epsilon_cutoff": 0.0003},
        "bitsandbytes": {"llm_int8_threshold": 3.0},
    }
    evidence = run(
        pytorch={"load_in_8bit": True}, precision="fp16", decoder=SAMPLING, passthrough_kwargs=passed
    ).evidence
    held = evidence["passthrough_kwargs.generate.epsilon_cutoff"]
    assert (held["effective"], held["verdict"]) == (0.0003, "unverifiable")
    assert "accepted by generate" in held["observed"]
    assert "from_pretrained" in evidence["passthrough_kwargs.from_pretrained.low_cpu_mem_usage"]["observed"]
    assert evidence["passthrough_kwargs.bitsandbytes.llm_int8_threshold"]["effective"] == 3.0


def test_a_passed_keyword_that_generation_does_not_hold_is_ignored(run: Runner) -> None:
    done = run(decoder=SAMPLING, passthrough_kwargs={"generate": {"epsilon_cutoff": 0.0003}})
    done.observation.generation_config.epsilon_cutoff = None
    assert done.evidence["passthrough_kwargs.generate.epsilon_cutoff"]["verdict"] == "ignored"


def test_continuous_batching_answers_as_static_batching_does(run: Runner) -> None:
    together = run(pytorch={"batching": "continuous"})
    assert together.outputs == run(pytorch={"batching": "static"}).outputs
    generator = together.generator
    for _ in range(2):
        generator.run_pass()
    generator.run_pass(prefill_only=True)
    raw = generator.take_raw()
    requests = generator.read(raw[:2])
    assert [row.request_index for row in requests] == [0, 1, 2, 0, 1, 2]
    for request in requests:
        assert len(request.row.output_ids) == 8 and len(request.itl_s) == 7
        assert 0 < request.ttft_s < request.e2e_latency_s
        assert request.ttft_s + sum(request.itl_s) == pytest.approx(request.e2e_latency_s)
    assert all(len(output.generated_tokens) == 1 for output in raw[2].outputs)
    assert all(generator.pass_seconds(item) > 0 for item in raw)
    generator.close()
