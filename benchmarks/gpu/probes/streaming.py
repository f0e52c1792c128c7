"""Steady work below the power limit: copies of device memory, at the speed of the memory.

Products of matrices take a large board to its power limit, where its clocks and its power wander. Copies do not; and
because one follows the other on the device without a gap, nothing pulses near the period of the power sensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks.gpu.scale import Scale
from llenergymeasure.engine.devices import Anchor, Cuda, Host
from llenergymeasure.engine.generation.generation import Generation, Generator, Instrumented, Request


class Streaming(Generator):
    """Passes of `copies_per_pass` copies from one tensor of `stream_bytes` into another, and back.

    There are no requests; the raw result of a pass is the device's stamps of its start and end.
    """

    keywords: Mapping[str, Any] = {}
    seed = 0

    def __init__(self, scale: Scale) -> None:
        self.devices = Cuda([0]) if scale.device == "cuda" else Host()
        self.model = None
        if scale.rehearsal:
            torch.set_num_threads(1)  # threads that wait for each other on a busy machine make passes of any length
        self._copies = scale.copies_per_pass
        self._pair = [torch.ones(scale.stream_bytes, dtype=torch.uint8, device=scale.device) for _ in range(2)]
        self._raw: list[tuple[Any, Any]] = []

    @property
    def requests_per_pass(self) -> int:
        return 0

    def run_pass(self, *, prefill_only: bool = False) -> None:  # noqa: ARG002 - there is nothing to skip
        begin = self.devices.clock.mark()
        for turn in range(self._copies):
            source, target = self._pair if turn % 2 else self._pair[::-1]
            target.copy_(source)
        self._raw.append((begin, self.devices.clock.mark()))

    def run_instrumented(self) -> Instrumented:
        self.run_pass()
        self.devices.synchronize()
        return Instrumented()

    def take_raw(self) -> list[tuple[Any, Any]]:
        raw, self._raw = self._raw, []
        return raw

    def pass_seconds(self, raw_pass: tuple[Any, Any]) -> float:
        return self.devices.clock.seconds(*raw_pass)

    def read(self, raw: Sequence[Any]) -> list[Request]:  # noqa: ARG002
        return []

    def timeline(self, raw: Sequence[Any], anchor: Anchor) -> list[Generation] | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        self._raw, self._pair = [], []
