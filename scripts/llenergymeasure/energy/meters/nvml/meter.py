"""NVIDIA boards: the total-energy counter where there is one, else integrated power."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pynvml

from llenergymeasure.energy.findings import Finding, trace_incomplete
from llenergymeasure.energy.integration.counter_energy import CounterWindow, counter_entry
from llenergymeasure.energy.integration.cross_check import cross_check, disagreement
from llenergymeasure.energy.integration.integrated_power import PowerWindow, follow_s, noise_of, power_entry
from llenergymeasure.energy.integration.ticks import CounterReading
from llenergymeasure.energy.ledger import Account, Finished, Interval, LedgerEntry, Span
from llenergymeasure.energy.meter import MeterContext
from llenergymeasure.energy.meters.nvml.board import cuda_driver_version
from llenergymeasure.energy.meters.nvml.device import NvmlDevice
from llenergymeasure.energy.meters.nvml.findings import facts_of, findings_of, hidden_processes, lost
from llenergymeasure.energy.meters.nvml.state import BoardState
from llenergymeasure.energy.meters.nvml.visible_devices import Selection
from llenergymeasure.energy.sampling.host import SamplerProcess
from llenergymeasure.energy.sampling.power_sampler import Host, PowerSample, PowerSampler
from llenergymeasure.energy.sampling.thread import SamplerThread

COUNTER_SOURCE, POWER_SOURCE = "measured:nvml-total-energy", "measured:nvml-power"
# Around an edge the same work runs for: the longest lag, the polling after an edge, and a tick more.
STEADY_S = 0.5
# How many ticks the counters are followed for after a window; for no longer than the slowest one known needs.
FOLLOWED_TICKS = 1.5
LONGEST_TICK_S = 0.25


class NvmlMeter:
    """Energy of NVIDIA boards, read from a process of its own around and in a window."""

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
        self._before: dict[str, BoardState] = {}
        self._sampler = PowerSampler(
            _host(context), context.power_interval_s, POWER_SOURCE, context.warn, context.clock
        )
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

    @property
    def steady_s(self) -> float:
        """Long enough for the longest lag, two ticks of a slow counter, and half of what a power reading averages."""
        averaging_s = [device.power.averaging_s for device in self._active if device.power]
        return STEADY_S + max(averaging_s, default=0.0) / 2 if self._active else 0.0

    def prepare(self, phase: str) -> None:  # noqa: ARG002
        self._before = {device.uuid: device.state() for device in self._active}
        for device in self._active:
            device.refresh()
        self._sampler.start(self._active)

    def begin(self, phase: str) -> None:  # noqa: ARG002
        self._sampler.opened()

    def end(self) -> None:
        self._sampler.closed()

    def finish(self, span: Span) -> Finished:
        self._clock.sleep(max(0.0, span.end_s + self._follow_s() - self._clock.now_s()))
        readings = self._sampler.stop(span.phase, span.start_s, span.end_s)
        entries: list[LedgerEntry] = []
        intervals: list[Interval] = []
        findings = trace_incomplete(self._sampler.trouble)
        facts: dict[str, Any] = {}
        for device in self._active:
            own = [sample for sample in readings.samples if sample.uuid == device.uuid]
            seen = [sample.reading for sample in own if span.start_s <= sample.time_s <= span.end_s]
            entry, pieces, check = self._judge(span, device, readings.counters[device.uuid], own)
            entries.append(entry)
            intervals += pieces
            before, after = self._before[device.uuid], device.state()
            # Before the load no process of ours is on the board, so that nobody can tell whose ids these are.
            if self._holds_model and (hidden := hidden_processes(device.uuid, after)) is not None:
                self._warn("processes_hidden", hidden)
            findings += [*check, *findings_of(device.uuid, span.phase, seen, before, after)]
            facts[device.uuid] = facts_of(device, seen, before, after)
        return Finished(entries, intervals, findings, facts)

    def _follow_s(self) -> float:
        """How long after its end a window is followed: until a tick after the longest lag, and averages are down."""
        follow_for_s = [0.0]
        for device in self._active:
            if device.counter_missing and device.power:
                follow_for_s.append(follow_s(device.power.averaging_s))
            elif not device.counter_missing:
                period_s = LONGEST_TICK_S if device.tick_period is None else device.tick_period.period_s
                follow_for_s.append(device.family.lag_bound_s + min(FOLLOWED_TICKS * period_s, LONGEST_TICK_S))
        return max(follow_for_s)

    def _judge(
        self, span: Span, device: NvmlDevice, counter: Sequence[CounterReading], own: Sequence[PowerSample]
    ) -> tuple[LedgerEntry, list[Interval], list[Finding]]:
        """One device's entry, its pieces, and what is wrong with it as a whole."""
        account = Account(device.uuid, "gpu", POWER_SOURCE if device.counter_missing else COUNTER_SOURCE)
        if any(reading.lost for reading in counter) or any(sample.reading.lost for sample in own):
            reason = "the device was lost in the window (GPU is lost)"
            return span.unknown(*account, reason), [], [lost(device.uuid, span.phase)]
        power = _power_window(device, own)
        if device.counter_missing:
            return *power_entry(span, power), []
        window = CounterWindow(account, device.family, counter, device.tick_period, noise_of(span, power))
        entry, pieces = counter_entry(span, window)
        if entry.energy_j is None:
            return entry, pieces, []
        check = cross_check(span, entry.energy_j, entry.components, power)
        if check is None:
            return entry, pieces, []
        findings = [] if check.agrees else [disagreement(entry, check)]
        return replace(entry, cross_check=check.to_dict()), pieces, findings

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


def _host(context: MeterContext) -> Host:
    """A process of its own, wherever that can read the meters' clock."""
    if context.clock.across_processes:
        return SamplerProcess(context.power_interval_s)
    return SamplerThread(context.power_interval_s, context.clock)


def _power_window(device: NvmlDevice, own: Sequence[PowerSample]) -> PowerWindow:
    failure = next((sample.reading.error for sample in own if sample.reading.power_w is None), None)
    points = [(sample.time_s, sample.reading.power_w) for sample in own if sample.reading.power_w is not None]
    name = device.power.name if device.power else "power"
    averaging_s = device.power.averaging_s if device.power else 0.0
    return PowerWindow(Account(device.uuid, "gpu", POWER_SOURCE), device.family, name, averaging_s, points, failure)
