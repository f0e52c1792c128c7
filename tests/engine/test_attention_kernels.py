"""The kernel that `sdpa` picked is named, from one decoding step of the instrumented pass."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.autograd import DeviceType
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.conftest import Runner
from llenergymeasure.engine.evidence import kernels
from llenergymeasure.engine.evidence.kernels import StepProfile

FLASH, MATH = "aten::_scaled_dot_product_flash_attention_for_cpu", "aten::_scaled_dot_product_attention_math"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device has other kernels")
@pytest.mark.parametrize(
    ("backend", "name"), [(SDPBackend.FLASH_ATTENTION, FLASH), (SDPBackend.MATH, MATH)], ids=["flash", "math"]
)
def test_the_operator_that_was_picked_is_in_the_evidence(run: Runner, backend: SDPBackend, name: str) -> None:
    with sdpa_kernel(backend):
        done = run(pytorch={"attn_implementation": "sdpa"})
    assert done.seen.heard is not None
    assert done.seen.heard.attention_kernels == (name,)
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
    heard = run(pytorch=pytorch).seen.heard
    assert heard is not None and heard.attention_kernels


def test_eager_attention_runs_no_fused_kernel(run: Runner) -> None:
    done = run(pytorch={"attn_implementation": "eager"})
    assert done.seen.heard is not None
    assert done.seen.heard.attention_kernels == ()
    assert "a decoding step ran no fused attention" in done.evidence["pytorch.attn_implementation"]["observed"]


def test_compiled_code_is_profiled_once_it_is_compiled_and_compiled_no_more_often(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"torch_compile": True, "torch_compile_backend": "eager"}
    profiled = run(pytorch=asked)
    assert profiled.seen.heard is not None and profiled.seen.heard.attention_kernels
    monkeypatch.setattr(StepProfile, "before_forward", lambda *_: None)
    plain = run(pytorch=asked)
    assert plain.seen.heard is not None and plain.seen.heard.attention_kernels is None
    assert plain.seen.compile_counts == profiled.seen.compile_counts
    assert plain.outputs == profiled.outputs


def test_a_pass_without_that_many_steps_names_none(run: Runner) -> None:
    done = run(max_output_tokens=1)
    assert done.seen.heard is not None
    assert done.seen.heard.attention_kernels is None


def test_one_step_is_profiled_and_the_profiler_ends_with_the_pass() -> None:
    step = StepProfile(skip=1, cuda=False)
    for width in (12, 1, 1):
        step.before_preparing()
        step.before_forward(width)
    assert torch.autograd.profiler._is_profiler_enabled
    step.before_preparing()
    assert not torch.autograd.profiler._is_profiler_enabled
    assert step.names == ()


def test_on_cuda_the_kernels_are_named_after_their_operator() -> None:
    events = [
        ("aten::scaled_dot_product_attention", DeviceType.CPU),
        ("aten::_scaled_dot_product_flash_attention", DeviceType.CPU),
        ("aten::mm", DeviceType.CPU),
        ("ampere_bf16_s16816gemm_bf16_128x64", DeviceType.CUDA),
        ("void pytorch_flash::flash_fwd_splitkv_kernel<" + "x" * 200, DeviceType.CUDA),
        ("void pytorch_flash::flash_fwd_splitkv_kernel<" + "x" * 200, DeviceType.CUDA),
        ("fmha_cutlassF_bf16_aligned_64x64_rf_sm80", DeviceType.CUDA),
    ]
    found = kernels._attention_names([SimpleNamespace(name=name, device_type=kind) for name, kind in events])
    assert [name[:45] for name in found] == [
        "aten::_scaled_dot_product_flash_attention",
        "void pytorch_flash::flash_fwd_splitkv_kernel<",
        "fmha_cutlassF_bf16_aligned_64x64_rf_sm80",
    ]
    assert max(map(len, found)) <= kernels.LONGEST_NAME
