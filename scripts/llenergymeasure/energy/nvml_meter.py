"""NVIDIA boards: the total-energy counter where there is one, else integrated power."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pynvml

from llenergymeasure.energy.counter_energy import SOURCE as COUNTER_SOURCE
from llenergymeasure.energy.counter_energy import CounterWindow, counter_entry
from llenergymeasure.energy.cross_check import cross_check, disagreement
from llenergymeasure.energy.findings import Finding, trace_incomplete
from llenergymeasure.energy.integrated_power import SOURCE as POWER_SOURCE
from llenergymeasure.energy.integrated_power import PowerWindow, follow_s, noise_of, power_entry
from llenergymeasure.energy.ledger import Finished, Interval, LedgerEntry, Span
from llenergymeasure.energy.meter import MeterContext
from llenergymeasure.energy.nvml_board import cuda_driver_version
from llenergymeasure.energy.nvml_device import NvmlDevice
from llenergymeasure.energy.nvml_findings import facts_of, findings_of, hidden_processes, lost
from llenergymeasure.energy.nvml_state import BoardState
from llenergymeasure.energy.power_sampler import PowerSample, PowerSampler
from llenergymeasure.energy.ticks import CounterFailed, Reading, next_ticks, try_now
from llenergymeasure.energy.visible_devices import Selection

# More than two periods of the slowest counter seen (100 ms); longer would cool the device before every
# window.
TICK_TIMEOUT_S = 0.25


class NvmlMeter:
    """Energy of NVIDIA boards; a window starts on a tick of the first board's counter."""

    name = "nvml"

    def __init__(
        self,
        context: MeterContext,
        devices: list[NvmlDevice],
        visible: list[NvmlDevice],
        selection: Selection,
    ) -> None:
        self._warn = context.warn
        self._clock = context.clock
        self._devices = devices
        self._active = visible
        self._selection = selection
        self._starts: dict[str, Reading | CounterFailed] = {}
        self._ends: dict[str, Reading | CounterFailed] = {}
        self._before_w: dict[str, float | None] = {}
        self._before: dict[str, BoardState] = {}
        self._sampler = PowerSampler(context.power_interval_s, POWER_SOURCE, context.warn, context.clock)
        self._driver = pynvml.nvmlSystemGetDriverVersion()
        self._holds_model = False
        self._open = True

    @property
    def domains(self) -> frozenset[str]:
        return frozenset({"gpu"} if self._active else ())

    @property
    def device_uuids(self) -> frozenset[str]:
        return frozenset(device.uuid for device in self._devices)

    def restrict(self, device_uuids: Collection[str]) -> None:
        elsewhere = sorted(set(device_uuids) - {board.uuid for board in self._selection.boards})
        if elsewhere:
            self._warn("device_order", f"the model is on {', '.join(elsewhere)}, not on the GPUs metered until now")
        self._active = [device for device in self._devices if device.uuid in device_uuids]
        self._holds_model = True

    def temperatures_c(self) -> dict[str, float]:
        """Temperature of each metered device that tells it, in °C; for use outside windows."""
        told = {device.uuid: device.temperature_c() for device in self._active}
        return {uuid: temperature_c for uuid, temperature_c in told.items() if temperature_c is not None}

    def begin(self, phase: str) -> float | None:  # noqa: ARG002
        self._before = {device.uuid: device.state() for device in self._active}
        for device in self._active:
            device.refresh()
        self._before_w = {device.uuid: device.sample().power_w for device in self._active}
        counted = [device for device in self._active if not device.counter_missing]
        ticking = {device.uuid: device.energy_mj for device in counted if device.tick_period is not None}
        # One board leads: its tick is the window's start. The others' last tick before it is learnt on the way.
        leader = next(iter(ticking), None)
        self._starts = next_ticks(ticking, self._clock, TICK_TIMEOUT_S, leader=leader) if ticking else {}
        for device in counted:
            if device.uuid not in ticking:
                self._starts[device.uuid] = try_now(device.energy_mj, self._clock)
        self._sampler.start(self._active)
        start = self._starts[leader] if leader is not None else None
        return start.time_s if isinstance(start, Reading) and start.on_tick else None

    def end(self) -> None:
        counted = [device for device in self._active if not device.counter_missing]
        self._ends = {device.uuid: try_now(device.energy_mj, self._clock) for device in counted}

    def finish(self, span: Span) -> Finished:
        following = self._following()
        averaging_s = [device.power.averaging_s for device in self._active if device.counter_missing and device.power]
        if averaging_s:
            left_s = span.end_s + follow_s(max(averaging_s)) - self._clock.now_s()
            self._clock.sleep(max(0.0, left_s))
        samples = self._sampler.stop(span.phase, span.end_s)
        entries: list[LedgerEntry] = []
        intervals: list[Interval] = []
        findings = trace_incomplete(self._sampler.trouble)
        facts: dict[str, Any] = {}
        for device in self._active:
            own = [sample for sample in samples if sample.uuid == device.uuid]
            readings = [sample.reading for sample in own if sample.time_s <= span.end_s]
            entry, pieces, check = self._judge(span, device, following.get(device.uuid), own)
            entries.append(entry)
            intervals += pieces
            before, after = self._before[device.uuid], device.state()
            # Before the load no process of ours is on the board, so that nobody can tell whose ids these are.
            if self._holds_model and (hidden := hidden_processes(device.uuid, after)) is not None:
                self._warn("processes_hidden", hidden)
            findings += [*check, *findings_of(device.uuid, span.phase, readings, before, after)]
            facts[device.uuid] = facts_of(device, readings, before, after)
        return Finished(entries, intervals, findings, facts)

    def _following(self) -> dict[str, Reading | CounterFailed]:
        """The first tick after the window of each counter that is known to tick."""
        ticking = {
            device.uuid: device.energy_mj
            for device in self._active
            if device.tick_period is not None and isinstance(self._ends.get(device.uuid), Reading)
        }
        return next_ticks(ticking, self._clock, TICK_TIMEOUT_S) if ticking else {}

    def _judge(
        self, span: Span, device: NvmlDevice, following: Reading | CounterFailed | None, own: Sequence[PowerSample]
    ) -> tuple[LedgerEntry, list[Interval], list[Finding]]:
        """One device's entry, its pieces, and what is wrong with it as a whole."""
        start, end = self._starts.get(device.uuid), self._ends.get(device.uuid)
        source = POWER_SOURCE if device.counter_missing else COUNTER_SOURCE
        edges = [edge for edge in (start, end, following) if isinstance(edge, CounterFailed)]
        if any(edge.lost for edge in edges) or any(sample.reading.lost for sample in own):
            reason = "the device was lost in the window (GPU is lost)"
            return span.unknown(device.uuid, "gpu", source, reason), [], [lost(device.uuid, span.phase)]
        power = self._power_window(device, own)
        if start is None or end is None:
            return *power_entry(span, power), []
        for edge, reading in (("start", start), ("end", end)):
            if isinstance(reading, CounterFailed):
                reason = f"reading the counter failed at the {edge} of the window: {reading}"
                return span.unknown(device.uuid, "gpu", source, reason), [], []
        assert isinstance(start, Reading) and isinstance(end, Reading)
        following = following if isinstance(following, Reading) and following.on_tick else None
        seen = _seen(span, end, following, own)
        window = CounterWindow(
            device.uuid, device.family, start, end, following, seen, device.tick_period, noise_of(span, power)
        )
        entry, pieces = counter_entry(span, window)
        if entry.energy_j is None:
            return entry, pieces, []
        check = cross_check(span, entry.energy_j, entry.components, power)
        if check is None:
            return entry, pieces, []
        findings = [] if check.agrees else [disagreement(entry, check)]
        return replace(entry, cross_check=check.to_dict()), pieces, findings

    def _power_window(self, device: NvmlDevice, own: Sequence[PowerSample]) -> PowerWindow:
        # The first failure counts: what the reading was meanwhile nobody knows.
        failure = next((sample.reading.error for sample in own if sample.reading.power_w is None), None)
        points = [(sample.time_s, sample.reading.power_w) for sample in own if sample.reading.power_w is not None]
        name = device.power.name if device.power else "power"
        averaging_s = device.power.averaging_s if device.power else 0.0
        return PowerWindow(device.uuid, device.family, name, averaging_s, self._before_w[device.uuid], points, failure)

    def trace(self) -> list[dict[str, Any]]:
        return self._sampler.trace()

    def describe(self) -> dict[str, Any]:
        active = {device.uuid for device in self._active}
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
            self._sampler.close()
            pynvml.nvmlShutdown()


def _seen(span: Span, end: Reading, following: Reading | None, own: Sequence[PowerSample]) -> list[tuple[float, int]]:
    """The sampler's counter readings in the window; without one that was delayed until after the end reading."""
    late = range(end.millijoules + 1, following.millijoules + 1) if following else range(0)
    return [
        (sample.time_s, sample.reading.counter_mj)
        for sample in own
        if sample.time_s <= span.end_s
        and sample.reading.counter_mj is not None
        and sample.reading.counter_mj not in late
    ]
