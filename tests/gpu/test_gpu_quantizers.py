"""Quantized weights on a CUDA device, and the peak of memory against its estimate.

Takes about 2 minutes on one; skips where there is none.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from engine.conftest import Runner, assert_narrow

from llenergymeasure.engine.failure import ExperimentFailure

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(120)]
KEY, OWN = "pytorch.quantization_config", "config.json: quantization_config"
MODEL = (
    "random:llama?hidden_size=1024&intermediate_size=2816&num_hidden_layers=4"
    "&num_attention_heads=16&num_key_value_heads=8&vocab_size=8192"
)
# Name → package, quantization_config, code bits, the least and the most stored bits.
ON_THE_FLY: dict[str, tuple[str, dict[str, Any], float, float, float]] = {
    "bnb-nf4": ("bitsandbytes", {"quant_method": "bitsandbytes_4bit", "bnb_4bit_quant_type": "nf4"}, 4, 4.1, 4.6),
    "bnb-int8": ("bitsandbytes", {"quant_method": "bitsandbytes_8bit"}, 8, 8.0, 8.1),
    "ao-int8wo": ("torchao", {"quant_method": "torchao", "quant_type": "Int8WeightOnlyConfig"}, 8, 8.0, 8.1),
    "ao-int8dyn": (
        "torchao",
        {"quant_method": "torchao", "quant_type": "Int8DynamicActivationInt8WeightConfig"},
        *(8, 8.0, 8.1),
    ),
    "ao-float8wo": ("torchao", {"quant_method": "torchao", "quant_type": "Float8WeightOnlyConfig"}, 8, 8.0, 8.1),
    "ao-float8dyn": (
        "torchao",
        {"quant_method": "torchao", "quant_type": "Float8DynamicActivationFloat8WeightConfig"},
        *(8, 8.0, 8.1),
    ),
}
CAPABILITY = {"ao-float8dyn": (8, 9)}
# Name → settings of a pass whose peak is estimated; 600 tokens in the longest prompt.
PASSES: dict[str, dict[str, Any]] = {
    "sdpa": {"batch_size": 8},
    "eager": {"batch_size": 8, "attn_implementation": "eager"},
    "nf4": {"batch_size": 8, "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
}
PROMPT_TOKENS = 600


@pytest.mark.parametrize("name", ON_THE_FLY)
def test_weights_quantized_on_the_fly_have_the_width_that_was_asked_for(run: Runner, name: str) -> None:
    import torch

    package, settings, code, least, most = ON_THE_FLY[name]
    pytest.importorskip(package)
    if torch.cuda.get_device_capability() < CAPABILITY.get(name, (0, 0)):
        pytest.skip(f"needs a CUDA device of capability {CAPABILITY[name]}")
    done = run(model=MODEL, precision="bf16", pytorch={"quantization_config": settings})
    entry = done.evidence[KEY]
    assert (entry["verdict"], entry["effective"]) == ("applied", settings), entry
    assert not [path for path, item in done.evidence.items() if item["verdict"] == "ignored"]
    for layers in (done.loaded.storage_at_load, done.observation.storage):
        assert_narrow(layers, number=28, code_bits=code, stored_bits=(least, most))
    assert done.loaded.resident_bytes < 0.75 * 2 * done.loaded.architecture.parameters


@pytest.mark.parametrize("kind", ["int8", "fp8", "w4"])
def test_a_compressed_checkpoint_is_seen_before_and_after_it_decompresses_itself(
    run: Runner, tmp_path: Path, kind: str
) -> None:
    pytest.importorskip("compressed_tensors")
    from quantized_checkpoints import compressed_tensors_folder

    done = run(model=str(compressed_tensors_folder(tmp_path / "model", kind)), precision="bf16")
    assert done.evidence[OWN]["effective"] == "compressed-tensors, decompressed in the first forward pass"
    code = 4 if kind == "w4" else 8
    widths = [
        {round(layer.code_bits, 2) for layer in layers if layer.name != "lm_head"}
        for layers in (done.loaded.storage_at_load, done.observation.storage)
    ]
    assert widths == [{code}, {16}]


def test_the_kernels_of_fp8_are_asked_for_before_anything_is_loaded(run: Runner) -> None:
    from transformers.utils import is_kernels_available

    if is_kernels_available():
        pytest.skip("the package kernels is installed")
    with pytest.raises(ExperimentFailure, match="kernels") as caught:
        run(model=MODEL, precision="bf16", pytorch={"quantization_config": {"quant_method": "fp8"}})
    assert caught.value.stage == "load"


@pytest.mark.parametrize("name", PASSES)
def test_the_estimated_peak_is_near_the_allocators(run: Runner, name: str) -> None:
    """Within 20 %, as `estimate` and `validate` say."""
    import torch

    from llenergymeasure.models.memory.experiment import estimate_experiment, read_model_config
    from llenergymeasure.models.tensors import stored_tensors

    if "load_in_4bit" in PASSES[name]:
        pytest.importorskip("bitsandbytes")
    settings = {"precision": "bf16", "pytorch": PASSES[name], "n_prompts": 8, "max_input_tokens": PROMPT_TOKENS}
    prompts = ["x" * 2 * PROMPT_TOKENS] * 8
    gc.collect()
    left = torch.cuda.memory_allocated()
    done = run(prompts, model=MODEL, **settings)
    torch.cuda.reset_peak_memory_stats()
    done.generator.run_pass()
    peak = torch.cuda.max_memory_allocated() - left
    folder = run.snapshot(MODEL).path
    estimate = estimate_experiment(
        done.config,
        read_model_config(folder),
        stored_tensors(folder),
        on_processor=False,
        prompt_tokens=PROMPT_TOKENS,
    )
    assert estimate.total == pytest.approx(peak, rel=0.2), estimate
