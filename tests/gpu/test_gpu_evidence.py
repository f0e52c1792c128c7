"""Settings whose effect only a CUDA device shows. Takes about 2 minutes on one; skips where there is none."""

from __future__ import annotations

from typing import Any

import pytest
from engine.conftest import Runner

from llenergymeasure.engine.failure import ExperimentFailure

# Each case takes seconds, those that compile up to a minute.
pytestmark = [pytest.mark.gpu, pytest.mark.timeout(120)]
MODEL = (
    "random:llama?hidden_size=256&intermediate_size=512&num_hidden_layers=2"
    "&num_attention_heads=4&num_key_value_heads=2&vocab_size=320"
)
NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "bfloat16"}


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        ("allow_tf32", {"precision": "fp32", "pytorch": {"allow_tf32": True}}),
        ("allow_tf32", {"precision": "fp32", "pytorch": {"allow_tf32": False}}),
        ("cache_implementation", {"pytorch": {"cache_implementation": "offloaded"}}),
        ("cache_implementation", {"pytorch": {"cache_implementation": "offloaded_static"}}),
        (
            "compile_config",
            {"pytorch": {"cache_implementation": "static", "compile_config": {"mode": "reduce-overhead"}}},
        ),
        (
            "torch_compile_mode",
            {
                "pytorch": {
                    "torch_compile": True,
                    "torch_compile_mode": "reduce-overhead",
                    "cache_implementation": "static",
                }
            },
        ),
        ("load_in_4bit", {"pytorch": NF4}),
        ("load_in_8bit", {"precision": "fp16", "pytorch": {"load_in_8bit": True}}),
        ("attn_implementation", {"pytorch": {"attn_implementation": "sdpa"}}),
        ("batching", {"pytorch": {"batching": "continuous"}}),
        ("device_map", {"pytorch": {"device_map": "cuda:0"}}),
    ],
)
def test_it_takes_effect_on_the_device(run: Runner, path: str, settings: dict[str, Any]) -> None:
    if "load_in" in path:
        pytest.importorskip("bitsandbytes")
    evidence = run(model=MODEL, **{"precision": "bf16", **settings}).evidence
    entry = evidence[f"pytorch.{path}"]
    assert entry["verdict"] == "applied", entry
    assert not [(name, item) for name, item in evidence.items() if item["verdict"] == "ignored"]


def test_more_processes_than_devices_is_a_failure_that_says_so(run: Runner) -> None:
    import torch

    from llenergymeasure.measurement.worker.process_group import open_group

    config = run.config_of(model=MODEL, n_prompts=99, pytorch={"num_processes": torch.cuda.device_count() + 1})
    with pytest.raises(ExperimentFailure, match="TooFewDevices"):
        open_group(config)
