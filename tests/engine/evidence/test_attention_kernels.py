"""The kernel that `sdpa` picked is named, from one decoding step of the instrumented pass."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from engine.conftest import Runner
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile

from llenergymeasure.engine.evidence import collect, kernels
from llenergymeasure.engine.evidence.kernels import StepProfile
from llenergymeasure.engine.evidence.listening import Heard, listen

FLASH, MATH = "aten::_scaled_dot_product_flash_attention_for_cpu", "aten::_scaled_dot_product_attention_math"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device has other kernels")
@pytest.mark.parametrize(
    ("backend", "name"), [(SDPBackend.FLASH_ATTENTION, FLASH), (SDPBackend.MATH, MATH)], ids=["flash", "math"]
)
def test_the_operator_that_was_picked_is_in_the_evidence(run: Runner, backend: SDPBackend, name: str) -> None:
    with sdpa_kernel(backend):
        done = run(pytorch={"attn_implementation": "sdpa"})
    assert done.observation.heard is not None
    assert done.observation.heard.attention_kernels == (name,)
    entry = done.evidence["pytorch.attn_implementation"]
    assert f"a decoding step ran {name}" in entry["observed"]
    assert entry["verdict"] == "applied"


@pytest.mark.parametrize(
    "pytorch",
    [
        {"attn_implementation": "sdpa", "prefill_chunk_size": 8},
        {"attn_implementation": "sdpa", "use_cache": False},
        {"attn_implementation": "sdpa", "cache_implementation": "static", "batch_size": 3},
        {"attn_implementation": "sdpa", "num_beams": 2},
    ],
    ids=str,
)
def test_every_way_of_decoding_has_a_step_to_profile(run: Runner, pytorch: dict[str, Any]) -> None:
    heard = run(pytorch=pytorch).observation.heard
    assert heard is not None and heard.attention_kernels


def test_eager_attention_runs_no_fused_kernel(run: Runner) -> None:
    done = run(pytorch={"attn_implementation": "eager"})
    assert done.observation.heard is not None
    assert done.observation.heard.attention_kernels == ()
    assert "a decoding step ran no fused attention" in done.evidence["pytorch.attn_implementation"]["observed"]


@pytest.mark.slow
def test_compiled_code_is_profiled_once_it_is_compiled_and_compiled_no_more_often(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"torch_compile": True, "torch_compile_backend": "eager"}
    profiled = run(pytorch=asked)
    assert profiled.observation.heard is not None and profiled.observation.heard.attention_kernels
    monkeypatch.setattr(StepProfile, "before_forward", lambda *_: None)
    plain = run(pytorch=asked)
    assert plain.observation.heard is not None and plain.observation.heard.attention_kernels is None
    assert plain.observation.compile_counts == profiled.observation.compile_counts
    assert plain.outputs == profiled.outputs


def test_a_pass_without_that_many_steps_names_none(run: Runner) -> None:
    done = run(max_output_tokens=1)
    assert done.observation.heard is not None
    assert done.observation.heard.attention_kernels is None


class Decoder:
    """Prepares steps as `generate` asks for them; its one parameter lies on a GPU."""

    def parameters(self) -> Iterator[Any]:
        return iter([SimpleNamespace(device=torch.device("cuda"))])

    def prepare_inputs_for_generation(self, width: int) -> dict[str, Any]:
        return {"input_ids": torch.zeros((1, width))}


def test_the_profiler_never_traces_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile with CUDA in it leaves CUPTI attached to the process, and every window after it is slower."""
    asked: list[Any] = []

    def spied(*, activities: list[Any], acc_events: bool) -> Any:
        # torch 2.11 warns of a profile that does not keep its events, and that warning would be in every record.
        assert acc_events
        asked.append(activities)
        return profile(activities=[ProfilerActivity.CPU])

    monkeypatch.setattr(kernels, "profile", spied)
    model, heard = Decoder(), Heard()
    with listen(model, heard, compiled=False):
        for width in (12, 1, 1, 1):
            model.prepare_inputs_for_generation(width)
    assert asked == [[ProfilerActivity.CPU]]
    assert heard.attention_kernels == ()


def test_compiled_code_that_calls_no_attention_operator_is_not_said_to_run_none(run: Runner) -> None:
    """A replayed CUDA graph calls no operator at all."""
    step = StepProfile(compiled=True)
    for width in (12, 1, 1, 1):
        step.before_preparing()
        step.before_forward(width)
        assert step.names is None
    assert step.reason is not None and step.reason.startswith("compiled code called no attention operator")
    done = run(pytorch={"attn_implementation": "sdpa"})
    assert done.observation.heard is not None
    done.observation.heard.attention_kernels, done.observation.heard.attention_kernels_reason = None, step.reason
    observed = collect(done.config, done.observation)["pytorch.attn_implementation"]["observed"]
    assert "which kernels ran is not known: compiled code" in observed


def test_a_fused_kernel_that_inductor_names_after_attention_is_none() -> None:
    """As seen on an H100: what follows attention is fused, and carries the names of all operators around it."""
    called = (
        "triton_poi_fused__scaled_dot_product_cudnn_attention__to_copy__unsafe_view_add_cat_clone_copy_2",
        "aten::_scaled_dot_product_cudnn_attention",
        "triton_tem_fused_flex_attention_0",
    )
    assert kernels._attention_names(called) == called[1:]


def test_the_second_step_of_compiled_code_is_profiled_and_no_later_one() -> None:
    """By the third its CUDA graph may be replayed."""
    step = StepProfile(compiled=True)
    looked = []
    for width in (12, 1, 1, 1, 1):
        step.before_preparing()
        step.before_forward(width)
        looked.append(bool(torch.autograd.profiler._is_profiler_enabled))
    assert looked == [False, False, True, False, False]


def test_the_profiler_ends_with_the_pass() -> None:
    step = StepProfile(compiled=False)
    for width in (12, 1):
        step.before_preparing()
        step.before_forward(width)
    assert torch.autograd.profiler._is_profiler_enabled
    step.before_preparing()
    assert not torch.autograd.profiler._is_profiler_enabled
    assert step.names == ()


def test_the_picked_operator_is_named_once_and_the_one_that_picks_is_not() -> None:
    called = [
        "aten::scaled_dot_product_attention",
        "aten::_scaled_dot_product_flash_attention",
        "aten::mm",
        "aten::_flash_attention_forward",
        "aten::_scaled_dot_product_flash_attention",
        "flash_attn::" + "x" * 200,
    ]
    names = kernels._attention_names(called)
    assert names[:2] == ("aten::_scaled_dot_product_flash_attention", "aten::_flash_attention_forward")
    assert len(names) == 3 and max(map(len, names)) <= kernels.LONGEST_NAME


@pytest.mark.parametrize("used", ["eager", "kernels-community/flash-attn2"])
def test_another_kind_than_asked_for_is_ignored_and_named(run: Runner, used: str) -> None:
    done = run(pytorch={"attn_implementation": "sdpa"})
    done.loaded.model.config._attn_implementation = used
    entry = collect(done.config, done.observation)["pytorch.attn_implementation"]
    assert entry["verdict"] == "ignored"
    assert f"use {used}" in entry["observed"]
