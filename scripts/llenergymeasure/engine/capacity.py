"""How much memory the device of an experiment has, and whether what it needs fits into that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.devices import asks_for_disk, asks_for_offloading, devices_claimed, on_processor
from llenergymeasure.config.problems.catalogue import MEMORY_NEARLY_FULL, MEMORY_TOO_SMALL
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.problems.text import bytes_in_words
from llenergymeasure.models.at_hand import ModelAtHand
from llenergymeasure.models.memory.experiment import estimate_experiment

# The share of a GPU's memory that tensors can use; the driver's context and the libraries' kernels take the rest.
USABLE_SHARE = 0.95
# An estimate above this share of the memory is near to it.
NEAR_SHARE = 0.9
_CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Capacity:
    """bytes: of one process's devices; what: they are, in words; on_processor: it is the memory of the machine"""

    bytes: int
    what: str
    on_processor: bool


def capacity(config: ExperimentConfig) -> Capacity | None:
    """The memory for one process of the experiment on this machine; None where it may use more than that."""
    pytorch = vars(config.pytorch)
    if on_processor(pytorch) and asks_for_disk(pytorch):
        return None
    if on_processor(pytorch) or not torch.cuda.is_available():
        return Capacity(_machine_bytes(), "this machine (with swap)", True)
    claimed, seen = devices_claimed(pytorch), torch.cuda.device_count()
    if asks_for_offloading(pytorch) or (claimed is not None and claimed > seen):
        return None
    count = 1 if (config.pytorch.num_processes or 1) > 1 else claimed or seen
    boards = [torch.cuda.get_device_properties(index) for index in range(count)]
    return Capacity(sum(board.total_memory for board in boards), f"{count} × {boards[0].name}", False)


def memory_problems(config: ExperimentConfig, model: ModelAtHand) -> Iterator[Problem]:
    """An error where weights and cache of the shortest prompt exceed the device; a warning where it may become full."""
    here = capacity(config)
    if here is None:
        return
    asked = {"on_processor": here.on_processor}
    try:
        most = estimate_experiment(config, model.config, model.tensors, **asked)
        if most.total <= NEAR_SHARE * here.bytes:
            return
        least = estimate_experiment(config, model.config, model.tensors, prompt_tokens=1, **asked)
    except Exception:  # noqa: BLE001 - a configuration with values that nothing can be computed from: loading says it
        return
    if least.least * USABLE_SHARE > here.bytes and not _quantizes_otherwise(config):
        yield MEMORY_TOO_SMALL.problem(
            "model",
            f"weights ({bytes_in_words(least.weights)}) and key-value cache ({bytes_in_words(least.cache)}), both "
            f"estimated, exceed {here.what} with {bytes_in_words(here.bytes)}",
        )
        return
    yield MEMORY_NEARLY_FULL.problem(
        "model",
        f"with prompts of max_input_tokens: {config.max_input_tokens} the peak is estimated at "
        f"{bytes_in_words(most.total)} ({bytes_in_words(most.low)} to {bytes_in_words(most.high)}); {here.what} "
        f"has {bytes_in_words(here.bytes)}",
    )


def _quantizes_otherwise(config: ExperimentConfig) -> bool:
    """Whether the library makes the weights smaller in a way that the estimate does not know."""
    return config.pytorch.quantization_config is not None


def _machine_bytes() -> int:
    whole = psutil.virtual_memory().total + psutil.swap_memory().total
    try:
        return min(int(_CGROUP.read_text(encoding="ascii")), whole)
    except (OSError, ValueError):  # no such file, or `max`
        return int(whole)
