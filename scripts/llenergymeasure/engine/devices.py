"""Devices that hold a model's parameters: their identity, their memory, their clock.

One `DeviceKind` per kind of device; a stage asks the model for its devices and never looks at the kind itself.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from llenergymeasure.engine.memory import (
    MemoryState,
    cuda_memory,
    host_memory,
    host_peak_bytes,
    release_host,
    reset_host_peak,
    sum_states,
)


@dataclass(frozen=True)
class Anchor:
    """One moment on both time lines: a stamp of the device, and the host's `perf_counter` seconds."""

    mark: Any
    host_s: float


class Clock(ABC):
    """Stamps points on a device's own time line without waiting for the device."""

    @abstractmethod
    def mark(self) -> Any:
        """A stamp for 'now, on the device': cheap, and it does not synchronise."""

    @abstractmethod
    def seconds(self, start: Any, end: Any) -> float:
        """Seconds between two stamps. Only after `DeviceKind.synchronize`."""

    def anchor(self) -> Anchor:
        """Tie the device's time to the host's; exact to some microseconds on an idle device."""
        return Anchor(self.mark(), time.perf_counter())

    def host_seconds(self, anchor: Anchor, mark: Any) -> float:
        """When a stamp was made, in the host's `perf_counter` seconds. Only after `DeviceKind.synchronize`."""
        return anchor.host_s + self.seconds(anchor.mark, mark)


class HostClock(Clock):
    """The CPU runs what it is given at once, so the host's monotonic clock is the device's."""

    def mark(self) -> float:
        return time.perf_counter()

    def seconds(self, start: float, end: float) -> float:
        return end - start


class CudaClock(Clock):
    """CUDA events: recorded in stream order, so a stamp is when the device got there, not when Python did.

    index: the device whose stream is stamped. On another, where nothing runs, an event is the host's time.
    """

    def __init__(self, index: int) -> None:
        self.index = index

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.index))
        return event

    def seconds(self, start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        milliseconds: float = start.elapsed_time(end)
        return milliseconds / 1e3


class DeviceKind(ABC):
    """What the pipeline needs of a kind of device."""

    clock: Clock
    # Whether torch's compiler can record CUDA graphs there.
    replays_graphs: ClassVar[bool] = False

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until the device has done everything asked of it."""

    @abstractmethod
    def reset_peak_memory(self) -> bool:
        """Begin a new peak. False where the system does not permit it: the peak is then that of the whole process."""

    @abstractmethod
    def peak_memory_bytes(self) -> int:
        """Highest memory in use since `reset_peak_memory`, in bytes, summed over the devices."""

    @abstractmethod
    def memory(self) -> MemoryState:
        """What is in use, reserved and fragmented now."""

    @abstractmethod
    def release_memory(self) -> None:
        """Give cached memory back, so that one experiment does not inherit another's."""

    @abstractmethod
    def forget_instruments(self) -> None:
        """Give back what the instrumented pass left, where the peak would count it. Between two warm-up passes."""

    @abstractmethod
    def describe(self) -> dict[str, Any]: ...

    @abstractmethod
    def make_current(self) -> None:
        """What a library does without naming a device happens where the model's input goes. After the load."""

    def uuids(self) -> list[str]:
        """Vendor identities by which an energy meter finds the same devices; none for the host."""
        return []

    memory_source: str


class Host(DeviceKind):
    """The CPU: memory is the resident set of this process, its peak is Linux's high-water mark."""

    memory_source = "resident set of the process (VmHWM)"

    def __init__(self) -> None:
        self.clock = HostClock()

    def synchronize(self) -> None:
        """Nothing runs behind Python's back here."""

    def reset_peak_memory(self) -> bool:
        return reset_host_peak()

    def peak_memory_bytes(self) -> int:
        return host_peak_bytes()

    def memory(self) -> MemoryState:
        return host_memory()

    def release_memory(self) -> None:
        release_host()

    def forget_instruments(self) -> None:
        release_host()

    def make_current(self) -> None:
        """There is only one."""

    def describe(self) -> dict[str, Any]:
        return {"kind": "cpu", "threads": torch.get_num_threads(), "affinity": len(os.sched_getaffinity(0))}


class Cuda(DeviceKind):
    """One or more CUDA devices of this process.

    first: the device that the input of the model goes to, where tokens come out too; by default the lowest
    """

    memory_source = "torch.cuda.max_memory_allocated, summed over devices"
    replays_graphs = True

    def __init__(self, indices: Sequence[int], first: int | None = None) -> None:
        self.indices = tuple(sorted(set(indices)))
        self.first = min(self.indices, default=0) if first is None else first
        self.clock = CudaClock(self.first)

    def synchronize(self) -> None:
        """Wait for the devices in use only: waiting for another would give it a context, with memory and watts."""
        for index in self.indices:
            if torch.cuda.memory_reserved(index):
                torch.cuda.synchronize(index)

    def make_current(self) -> None:
        torch.cuda.set_device(self.first)

    def reset_peak_memory(self) -> bool:
        # The allocator knows no device before that.
        torch.cuda.init()
        for index in self.indices:
            torch.cuda.reset_peak_memory_stats(index)
        return True

    def peak_memory_bytes(self) -> int:
        return sum(torch.cuda.max_memory_allocated(index) for index in self.indices)

    def memory(self) -> MemoryState:
        return sum_states(cuda_memory(index) for index in self.indices)

    def release_memory(self) -> None:
        release_host()
        torch.cuda.empty_cache()

    def forget_instruments(self) -> None:
        """Nothing: the peak counts blocks in use, and an emptied cache would have to be filled in the window."""

    def uuids(self) -> list[str]:
        return [f"GPU-{torch.cuda.get_device_properties(index).uuid}" for index in self.indices]

    def describe(self) -> dict[str, Any]:
        devices = []
        for index, uuid in zip(self.indices, self.uuids(), strict=True):
            properties = torch.cuda.get_device_properties(index)
            devices.append(
                {
                    "index": index,
                    "uuid": uuid,
                    "name": properties.name,
                    "memory_bytes": properties.total_memory,
                    "compute_capability": f"{properties.major}.{properties.minor}",
                }
            )
        return {"kind": "cuda", "devices": devices}


def cuda_libraries() -> dict[str, str | None]:
    """Versions of CUDA, cuDNN and NCCL that torch uses; None for each that torch was built without."""
    if torch.version.cuda is None:
        return dict.fromkeys(("cuda", "cudnn", "nccl"))
    cudnn = torch.backends.cudnn.version()
    nccl = torch.cuda.nccl.version() if torch.distributed.is_available() else None
    return {
        "cuda": torch.version.cuda,
        "cudnn": None if cudnn is None else str(cudnn),
        "nccl": None if nccl is None else ".".join(str(part) for part in nccl),
    }


def startup_devices() -> DeviceKind:
    """The devices that a model will be loaded to, before the load: all visible accelerators, else the host."""
    if torch.cuda.is_available():
        return Cuda(range(torch.cuda.device_count()))
    return Host()


def devices_holding(model: torch.nn.Module) -> DeviceKind:
    """The kind that does the work: the accelerators among the devices holding parameters, else the host."""
    accelerators = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
    if not accelerators:
        return Host()
    first = input_device(model)
    return Cuda([device.index or 0 for device in accelerators], first.index if first.type == "cuda" else None)


def input_device(model: Any) -> torch.device:
    """The device where the embedding runs; for an offloaded embedding, the device its hook moves it to."""
    embedding = model.get_input_embeddings()
    device: torch.device = embedding.weight.device
    return torch.device(embedding._hf_hook.execution_device) if device.type == "meta" else device
