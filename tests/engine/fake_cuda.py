"""Stands in for torch.cuda, which this machine has no device for: it refuses what a real one refuses, and takes notes.

Each device has its own time line, and an event takes the time of the stream that it was recorded on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch


@dataclass(frozen=True)
class Stream:
    device: int


@dataclass
class Event:
    cuda: FakeCuda
    time_s: float | None = None

    def record(self, stream: Stream | None = None) -> None:
        device = self.cuda.current if stream is None else stream.device
        self.cuda.contexts.add(device)
        self.time_s = self.cuda.worked_s[device]

    def elapsed_time(self, end: Event) -> float:
        assert self.time_s is not None and end.time_s is not None, "an event was not recorded"
        return (end.time_s - self.time_s) * 1e3


@dataclass
class FakeCuda:
    """reserved: bytes that the allocator holds on each device; worked_s: how long each has computed"""

    reserved: list[int]
    initialised: bool = False
    current: int = 0
    worked_s: list[float] = field(default_factory=list)
    contexts: set[int] = field(default_factory=set)
    synchronised: list[int] = field(default_factory=list)
    reset: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.worked_s = [0.0] * len(self.reserved)

    def init(self) -> None:
        self.initialised = True

    def work(self, device: int, seconds: float) -> None:
        self.worked_s[device] += seconds

    def synchronize(self, device: int) -> None:
        self.contexts.add(device)
        self.synchronised.append(device)

    def reset_peak_memory_stats(self, device: int) -> None:
        if not self.initialised:
            raise RuntimeError(f"Invalid device argument {device}: did you call init?")
        self.reset.append(device)

    def set_device(self, device: int) -> None:
        self.current = device

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fakes: dict[str, Any] = {
            "init": self.init,
            "is_available": lambda: True,
            "is_initialized": lambda: self.initialised,
            "device_count": lambda: len(self.reserved),
            "synchronize": self.synchronize,
            "reset_peak_memory_stats": self.reset_peak_memory_stats,
            "memory_reserved": lambda device: self.reserved[device] if self.initialised else 0,
            "set_device": self.set_device,
            "current_stream": lambda device=None: Stream(self.current if device is None else device),
            "Event": lambda enable_timing: Event(self) if enable_timing else None,
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)


def model_on(*devices: str, embedding: str) -> Any:
    """A model whose parameters say that they are on these devices."""
    parameters = [SimpleNamespace(device=torch.device(name)) for name in devices]
    layer = SimpleNamespace(weight=SimpleNamespace(device=torch.device(embedding)))
    return SimpleNamespace(parameters=lambda: iter(parameters), get_input_embeddings=lambda: layer)
