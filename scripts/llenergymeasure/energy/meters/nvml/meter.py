"""NVIDIA boards: the total-energy counter where there is one, else integrated power."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pynvml

from llenergymeasure.energy.ledger import Finished, Span
from llenergymeasure.energy.meter import MeterContext
from llenergymeasure.energy.meters.nvml.board import cuda_driver_version
from llenergymeasure.energy.meters.nvml.device import NvmlDevice
from llenergymeasure.energy.meters.nvml.findings import hidden_processes, window_facts, window_findings
from llenergymeasure.energy.meters.nvml.state import BoardState
from llenergymeasure.energy.meters.nvml.visible_devices import Selection
from llenergymeasure.energy.ticking_counters import Sources, TickingCounters
from llenergymeasure.records.finding import Finding

SOURCES = Sources(counter="measured:nvml-total-energy", power="measured:nvml-power")
OPENER = "llenergymeasure.energy.meters.nvml.device:board_opener"


class NvmlMeter(TickingCounters[NvmlDevice]):
    """Energy of NVIDIA boards, read from a process of its own around and in a window."""

    name = "nvml"

    def __init__(
        self,
        context: MeterContext,
        devices: list[NvmlDevice],
        visible: list[NvmlDevice],
        selection: Selection,
    ) -> None:
        super().__init__(visible, SOURCES, context, opener=OPENER)
        self._warn = context.warn
        self._devices = devices
        self._selection = selection
        self._before: dict[str, BoardState] = {}
        self._driver = pynvml.nvmlSystemGetDriverVersion()
        self._holds_model = False
        self._open = True

    @property
    def device_uuids(self) -> frozenset[str]:
        return frozenset(device.uuid for device in self._devices)

    def restrict(self, device_uuids: Collection[str]) -> None:
        elsewhere = sorted(set(device_uuids) - {board.uuid for board in self._selection.boards})
        if elsewhere:
            self._warn("device-order", f"the model is on {', '.join(elsewhere)}, not on the GPUs metered until now")
        self.active = [device for device in self._devices if device.uuid in device_uuids]
        self._holds_model = True

    def temperatures_c(self) -> dict[str, float]:
        """Temperature of each metered device that reports it, in °C; for use outside windows."""
        temperatures_c = {device.uuid: device.temperature_c() for device in self.active}
        return {uuid: celsius for uuid, celsius in temperatures_c.items() if celsius is not None}

    def prepare(self, phase: str) -> None:
        self._before = {device.uuid: device.state() for device in self.active}
        super().prepare(phase)

    def finish(self, span: Span) -> Finished:
        finished = super().finish(span)
        findings: list[Finding] = []
        facts: dict[str, Any] = {}
        for device in self.active:
            readings = self.readings[device.uuid]
            before, after = self._before[device.uuid], device.state()
            # Before the load no process of ours is on the board, so that it is not known whose ids these are.
            if self._holds_model and (hidden := hidden_processes(device.uuid, after)) is not None:
                self._warn("processes-hidden", hidden)
            findings += window_findings(device.uuid, span.phase, readings, before, after)
            facts[device.uuid] = window_facts(device, readings, before, after)
        return replace(finished, findings=[*finished.findings, *findings], facts=facts)

    def describe(self) -> dict[str, Any]:
        active = {device.uuid for device in self.active}
        return {
            "meter": self.name,
            "driver": self._driver,
            "cuda_driver": cuda_driver_version(),
            "library": f"nvidia-ml-py {version('nvidia-ml-py')}",
            "devices": [{**device.describe(), "metered": device.uuid in active} for device in self._devices],
            "refused": [{"device": device, "reason": reason} for device, reason in self._selection.refused],
        }

    def close(self) -> None:
        if self._open:
            self._open = False
            super().close()
            pynvml.nvmlShutdown()
