"""Whether a model fits on the GPUs that its setup claims. If not, an error names both sizes and what to change.

Nothing is moved to the processor or the disk unless the study asks for it: such a run would measure the bus.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from transformers import AutoConfig, AutoModelForCausalLM

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.devices import asks_for_offloading, on_processor
from llenergymeasure.config.problems.text import bytes_in_words
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.loading.model_files import ModelFiles
from llenergymeasure.models.memory.weights import resident_bytes

Board = Mapping[str, Any]
"""As `DeviceKind.describe` gives it: name, memory_bytes."""


def require_fit(
    config: ExperimentConfig, files: ModelFiles, given: Mapping[str, Any], boards: Sequence[Board], *, quantized: bool
) -> None:
    """ExperimentFailure where the weights alone exceed the boards' memory; checked before any weights are read.

    given: the keywords of `from_pretrained`; quantized: the files hold quantized weights. Not checked: weights that the
    library quantizes while loading, and weights that the study allows to be offloaded.
    """
    room = sum(board["memory_bytes"] for board in boards)
    if not boards or asks_for_offloading(vars(config.pytorch)) or "quantization_config" in given:
        return
    size = resident_bytes(files.tensors, None if quantized else given["dtype"].itemsize)
    if size > room and not quantized:
        # The files may hold more than the model reads of them.
        size = _module_bytes(files.folder, given) or size
    if size > room:
        raise ExperimentFailure("load", "ModelTooLarge", _too_large(config, size, boards))


@contextmanager
def memory_explained(
    config: ExperimentConfig, files: ModelFiles, dtype: torch.dtype | None, boards: Sequence[Board]
) -> Iterator[None]:
    """Add the sizes, and what to change, to an accelerator's out-of-memory error."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        said = str(error).split(". ")[0]
        size = resident_bytes(files.tensors, None if dtype is None else dtype.itemsize)
        text = f"{_too_large(config, size, boards)} ({said})" if boards else said
        raise ExperimentFailure("load", type(error).__name__, text, traceback.format_exc()) from error


def refuse_offloading(config: ExperimentConfig, model: torch.nn.Module, boards: Sequence[Board]) -> None:
    """ExperimentFailure where layers are on the processor or the disk although the study does not ask for that."""
    places: Mapping[str, Any] = getattr(model, "hf_device_map", None) or {}
    elsewhere = {"disk"} if on_processor(vars(config.pytorch)) or not boards else {"disk", "cpu"}
    moved = {module: place for module, place in places.items() if str(place) in elsewhere}
    if not moved or asks_for_offloading(vars(config.pytorch)):
        return
    held: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        under = [module for module in places if module == "" or name == module or name.startswith(f"{module}.")]
        place = str(places[max(under, key=len)]) if under else "?"
        held[place if place in elsewhere else "kept"] += parameter.numel() * parameter.element_size()
    parts = " and ".join(f"{bytes_in_words(held[place])} to the {place}" for place in ("cpu", "disk") if held[place])
    raise ExperimentFailure(
        "load",
        "Offloaded",
        f"of {bytes_in_words(sum(held.values()))} of weights, {parts or 'some'} would be offloaded: "
        f"{_room(boards)}; {_ADVICE}, or ask for offloading: pytorch.max_memory with cpu, or a pytorch.device_map that "
        "names cpu or disk",
    )


_ADVICE = "set pytorch.devices to more GPUs, or quantize (pytorch.load_in_8bit, pytorch.load_in_4bit)"


def _too_large(config: ExperimentConfig, size: int, boards: Sequence[Board]) -> str:
    return f"the weights take {bytes_in_words(size)} in {config.precision} and {_room(boards)}: {_ADVICE}"


def _room(boards: Sequence[Board]) -> str:
    if not boards:
        return "the library does not put that much into the processor's memory"
    names = Counter(f"{board['name']} with {bytes_in_words(board['memory_bytes'])}" for board in boards)
    claimed = ", ".join(f"{count} × {name}" for name, count in names.items())
    return f"the setup claims {claimed}"


def _module_bytes(folder: Path, given: Mapping[str, Any]) -> int | None:
    """Bytes of the architecture's parameters; None where the architecture cannot be built without its weights."""
    try:
        settings = AutoConfig.from_pretrained(folder, trust_remote_code=given["trust_remote_code"])
        with init_empty_weights():
            model = AutoModelForCausalLM.from_config(
                settings, dtype=given["dtype"], trust_remote_code=given["trust_remote_code"]
            )
    except Exception:  # noqa: BLE001 - whatever it is, loading reports it better
        return None
    return sum(parameter.numel() for parameter in model.parameters()) * given["dtype"].itemsize
