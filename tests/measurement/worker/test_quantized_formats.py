"""Everything that a processor can quantize, or read quantized, measured by a worker from the load to the record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from measurement.experiments import config
from quantized_checkpoints import MODEL, bitsandbytes_folder, compressed_tensors_folder, fp8_folder

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement.session import Session
from llenergymeasure.measurement.worker.manager import LoadOrder, Manager, Refused
from llenergymeasure.models.quantized import empty_folder
from llenergymeasure.models.snapshot import materialise
from llenergymeasure.records.measurement import WeightStorage

pytestmark = [pytest.mark.slow, pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has other kernels")]

KEY, OWN = "pytorch.quantization_config", "config.json: quantization_config"
# Name → what the study asks for, and the code bits of the quantized layers.
QUANTIZERS: dict[str, tuple[dict[str, Any], float]] = {
    "bnb-nf4": ({"quant_method": "bitsandbytes_4bit", "bnb_4bit_quant_type": "nf4"}, 4),
    "bnb-int8": ({"quant_method": "bitsandbytes_8bit"}, 8),
    "quanto-int8": ({"quant_method": "quanto", "weights": "int8"}, 8),
    "quanto-float8": ({"quant_method": "quanto", "weights": "float8"}, 8),
    "torchao-int8wo": ({"quant_method": "torchao", "quant_type": "Int8WeightOnlyConfig"}, 8),
    "torchao-int8dyn": ({"quant_method": "torchao", "quant_type": "Int8DynamicActivationInt8WeightConfig"}, 8),
    "torchao-float8wo": ({"quant_method": "torchao", "quant_type": "Float8WeightOnlyConfig"}, 8),
}
# Name → how it is made, code bits when loaded and after the window, what the record warns of.
CHECKPOINTS: dict[str, tuple[Callable[[Path], Path], float, float, str | None]] = {
    "ct-int8": (lambda folder: compressed_tensors_folder(folder, "int8"), 8, 16, "checkpoint-decompressed"),
    "ct-w4": (lambda folder: compressed_tensors_folder(folder, "w4"), 4, 16, "checkpoint-decompressed"),
    "fp8": (fp8_folder, 16, 16, "checkpoint-dequantized"),
    "bnb-nf4": (bitsandbytes_folder, 4, 4, None),
}


def measured(model: str, folder: Path, **pytorch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the worker reports of the load, and its record of the measurement."""
    snapshot = materialise(parse_model_ref(model), None, folder / "snapshot", lock=ModelsLock()).path
    intent = config(model=model, precision="bf16", pytorch=pytorch)
    order = LoadOrder(config=intent, snapshots={"model": snapshot}, compile_cache=None, timeout_s=300)
    with Manager(order, folder / "log") as manager:
        loaded = manager.load()
        warmup = {"do": "warmup", "config": intent, "min_window_s": 0.1, "energy_resolution": 0.01}
        calibration = manager.ask(warmup)
        nothing = {"experiment_id": "none", "outputs": []}
        measure = {"do": "measure", "config": intent, "calibration": calibration, "reference": nothing}
        return loaded, manager.ask(measure)["record"]


def bits(record: dict[str, Any]) -> list[float]:
    """Of the layers that hold most weights: when loaded, after the window."""
    storage = WeightStorage.from_plain(record["weight_storage"])
    return [round(groups[0].code_bits, 2) for groups in (storage.at_load, storage.after_window)]


@pytest.mark.parametrize("name", QUANTIZERS)
def test_weights_that_are_quantized_while_loading_are_measured_with_evidence(name: str, tmp_path: Path) -> None:
    settings, code = QUANTIZERS[name]
    loaded, record = measured(MODEL, tmp_path, quantization_config=settings)
    assert record["status"] == "ok", record["validity"]
    assert record["evidence"][KEY]["verdict"] == loaded["evidence"][KEY]["verdict"] == "applied"
    assert bits(record) == [code, code]
    storage = WeightStorage.from_plain(record["weight_storage"])
    # With the output head, which stays at 16 bits.
    assert code < storage.code_bits < storage.stored_bits < 10
    assert loaded["parameters"] == 372_352
    assert loaded["memory"]["resident_bytes"] < 0.75 * 2 * loaded["parameters"]
    assert "only weights that pytorch.load_in_4bit" in record["quantized_weights"]["reason"]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_that_are_quantized_already_are_measured_with_evidence(name: str, tmp_path: Path) -> None:
    make, before, after, code = CHECKPOINTS[name]
    loaded, record = measured(str(make(tmp_path / "model")), tmp_path)
    assert record["status"] == "ok", record["validity"]
    assert record["evidence"][OWN]["verdict"] == loaded["evidence"][OWN]["verdict"] == "default"
    assert bits(record) == [before, after]
    assert loaded["parameters"] == 372_352
    warnings = {item["code"] for item in record["warnings"] if item["code"].startswith("checkpoint")}
    assert warnings == ({code} if code else set())


def test_nothing_reads_the_state_of_weights_that_were_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """bitsandbytes packs 4-bit weights again in the first forward pass; `state_dict` would then break the model."""
    passes: list[str] = []
    hook = torch.nn.modules.module.register_module_forward_hook(lambda module, *_: passes.append(type(module).__name__))
    state_dict = torch.nn.Module.state_dict

    def guarded(self: torch.nn.Module, *arguments: Any, **named: Any) -> Any:
        assert "Linear4bit" not in passes, "state_dict after a forward pass"
        return state_dict(self, *arguments, **named)

    monkeypatch.setattr(torch.nn.Module, "state_dict", guarded)
    intent = config(model=MODEL, precision="bf16", pytorch={"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"})
    snapshot = materialise(parse_model_ref(MODEL), None, tmp_path / "snapshot", lock=ModelsLock()).path
    kept = empty_folder(tmp_path / "kept")
    session = Session(Alone())
    try:
        loaded = session.load(config=intent, snapshots={"model": str(snapshot)}, compile_cache=None)
        loaded.describe_load()
        # What the stage `quantize` asks for, before anything is computed.
        loaded.keep_quantized(config=intent, folder=str(kept))
        assert not passes
        calibration = loaded.warmup(config=intent, min_window_s=0.05, energy_resolution=0.5)
        assert "Linear4bit" in passes
        reference = {"experiment_id": "x", "outputs": calibration["outputs"]}
        record = loaded.measure(config=intent, calibration=calibration, reference=reference)["record"]
        with pytest.raises(AssertionError, match="after a forward pass"):
            loaded.keep_quantized(config=intent, folder=str(kept))
    finally:
        hook.remove()
        session.close()
    assert record["status"] == "ok"
    assert record["output_match"]["identical"] is True


def test_a_method_without_kernels_here_is_a_recorded_failure(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="A GPU or XPU is needed for FP8 quantization") as refused:
        measured(MODEL, tmp_path, quantization_config={"quant_method": "fp8"})
    assert refused.value.failure.stage == "load"
