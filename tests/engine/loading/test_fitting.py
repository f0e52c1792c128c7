"""A model that does not fit on what its setup claims fails with the sizes and the key; nothing is offloaded unasked.

The boards are made up: what they hold is all that is known of them. The models are real.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.conftest import Runner
from transformers import AutoModelForCausalLM
from transformers.integrations import accelerate as placing

from llenergymeasure.engine.devices import Host
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.loading import load, model_files
from llenergymeasure.engine.loading.fitting import refuse_offloading
from llenergymeasure.engine.loading.load import load_keywords
from llenergymeasure.models.memory.weights import resident_bytes
from llenergymeasure.models.tensors import stored_tensors

KB = 1000


def board(memory_bytes: int) -> dict[str, Any]:
    return {"index": 0, "uuid": "GPU-a", "name": "Small GPU", "memory_bytes": memory_bytes}


@pytest.fixture
def claimed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the setup claim boards of these sizes."""

    def claim(*sizes: int) -> None:
        class Boards(Host):
            def describe(self) -> dict[str, Any]:
                return {"kind": "cuda", "devices": [board(size) for size in sizes]}

        monkeypatch.setattr(load, "startup_devices", Boards)

    return claim


def test_sizes_are_read_from_the_headers(run: Runner) -> None:
    experiment = run()
    parameters = sum(item.numel() for item in experiment.loaded.model.parameters())
    tensors = list(stored_tensors(run.snapshot().path))
    assert resident_bytes(tensors, 4) == 4 * parameters
    assert resident_bytes(tensors, 2) == 2 * parameters
    assert resident_bytes(tensors, None) == 4 * parameters


@pytest.mark.parametrize(
    ("sizes", "settings", "fits"),
    [
        ([300 * KB], {}, False),
        ([600 * KB], {}, True),
        ([300 * KB], {"precision": "bf16"}, True),
        ([300 * KB, 300 * KB], {"pytorch": {"devices": 2}}, True),
        ([100 * KB, 100 * KB], {"pytorch": {"devices": 2}}, False),
        # The processor is asked for, and layers may go there.
        ([300 * KB], {"pytorch": {"device_map": "cpu"}}, True),
        ([300 * KB], {"pytorch": {"max_memory": {"cpu": "1GiB"}}}, True),
    ],
)
def test_weights_that_are_more_than_the_boards_hold(
    run: Runner, claimed: Any, sizes: list[int], settings: dict[str, Any], fits: bool
) -> None:
    claimed(*sizes)
    if fits:
        run(**settings)
        return
    with pytest.raises(ExperimentFailure) as failed:
        run(**settings)
    assert (failed.value.stage, failed.value.error_class) == ("load", "ModelTooLarge")
    said = failed.value.reason
    assert f"{len(sizes)} × Small GPU with {sizes[0] // KB} kB" in said
    assert said.startswith("the weights take 450 kB in fp32 and the setup claims ")
    assert "pytorch.devices" in said and "pytorch.load_in_4bit" in said and "\n" not in said


def test_a_load_reads_the_headers_and_the_generation_file_once(
    run: Runner, claimed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what this package reads itself; the library reads them for itself."""
    claimed(600 * KB)
    settings = run.snapshot().path / "generation_config.json"
    before = settings.read_bytes()
    settings.write_text("{}", encoding="utf-8")
    read: Counter[str] = Counter()
    real_tensors, real_text = model_files.stored_tensors, Path.read_text

    def tensors(where: Path) -> Any:
        read["headers"] += 1
        return real_tensors(where)

    def text(path: Path, *positional: Any, **named: Any) -> str:
        read[path.name] += 1
        return real_text(path, *positional, **named)

    monkeypatch.setattr(model_files, "stored_tensors", tensors)
    monkeypatch.setattr(Path, "read_text", text)
    try:
        run()
    finally:
        settings.write_bytes(before)  # other tests share the snapshot
    assert (read["headers"], read["generation_config.json"]) == (1, 1)


def test_files_that_hold_more_than_the_model_reads_do_not_fail_it(run: Runner, claimed: Any) -> None:
    snapshot = run.snapshot()
    extra = snapshot.path / "model-vision-tower.safetensors"
    from safetensors.torch import save_file

    save_file({"vision.weight": torch.zeros(1000, 1000)}, extra)
    try:
        claimed(600 * KB)
        assert run().outputs
    finally:
        extra.unlink()


def test_an_error_of_the_allocator_says_the_same(run: Runner, claimed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed(600 * KB)

    def out_of_memory(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has … free.")

    run.snapshot()
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", out_of_memory)
    with pytest.raises(ExperimentFailure) as failed:
        run()
    assert failed.value.error_class == "OutOfMemoryError"
    assert "the weights take" in failed.value.reason and "1 × Small GPU with 600 kB" in failed.value.reason
    assert failed.value.reason.endswith("(CUDA out of memory)") and "pytorch.devices" in failed.value.reason


def test_layers_that_a_strategy_moves_to_the_disk_unasked_are_a_failure(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def little(*_: Any, **__: Any) -> dict[str, int]:
        return {"cpu": 200 * KB, "disk": 10**12}

    monkeypatch.setattr(placing, "get_balanced_memory", little)
    with pytest.raises(ExperimentFailure) as failed:
        run(pytorch={"device_map": "auto"})
    assert (failed.value.stage, failed.value.error_class) == ("load", "Offloaded")
    assert "kB to the disk would be offloaded" in failed.value.reason
    assert "pytorch.max_memory with cpu" in failed.value.reason
    # A study that names the places is measured as it was asked to be.
    asked = run(pytorch={"max_memory": {"cpu": "60KB"}})
    assert asked.evidence["pytorch.max_memory"]["verdict"] == "applied"


def test_layers_on_the_processor_beside_a_gpu_are_a_failure_unless_the_study_names_it(run: Runner) -> None:
    model = run().loaded.model
    model.hf_device_map = {"model": 0, "lm_head": "cpu"}
    try:
        with pytest.raises(
            ExperimentFailure, match=r"76\.8 kB to the cpu would be offloaded: the setup claims 1 × Small"
        ):
            refuse_offloading(run.config_of(pytorch={"device_map": "auto"}), model, [board(300 * KB)])
        refuse_offloading(run.config_of(pytorch={"max_memory": {0: "1MB", "cpu": "1MB"}}), model, [board(300 * KB)])
        refuse_offloading(
            run.config_of(pytorch={"device_map": {"model": 0, "lm_head": "cpu"}}), model, [board(300 * KB)]
        )
    finally:
        del model.hf_device_map


def test_more_devices_than_torch_sees_is_a_failure(run: Runner) -> None:
    with pytest.raises(ExperimentFailure, match=r"pytorch\.devices: 2, but torch sees 0 GPUs here"):
        run(pytorch={"devices": 2})


@pytest.mark.parametrize(
    ("settings", "passed"),
    [
        ({}, {"": 0}),
        ({"devices": 1}, {"": 0}),
        ({"devices": 2}, "auto"),
        ({"max_memory": {0: "1GiB"}}, "auto"),
        ({"device_map": "balanced"}, "balanced"),
        ({"device_map": "cuda:0"}, "cuda:0"),
    ],
)
def test_the_default_is_the_one_gpu_that_the_setup_claims(
    run: Runner, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], passed: Any
) -> None:
    assert load_keywords(run.config_of(), has_code=False)["device_map"] == "auto"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert load_keywords(run.config_of(pytorch=settings), has_code=False)["device_map"] == passed


def test_a_model_on_one_device_has_no_hooks(run: Runner) -> None:
    loaded = run(pytorch={"device_map": {"": "cpu"}}).loaded
    assert not [name for name, module in loaded.model.named_modules() if hasattr(module, "_hf_hook")]
