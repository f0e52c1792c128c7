"""All meters of a process behind one window: one clock, one start, one end, for time and for energy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llenergymeasure.energy.clock import CLOCK, Clock
from llenergymeasure.energy.findings import sensor_aliased
from llenergymeasure.energy.integration.sensors import PartTime
from llenergymeasure.energy.integration.step_aliasing import Cycles
from llenergymeasure.energy.ledger import NO_SOURCE, Finished, Interval, LedgerEntry, Span, with_pauses
from llenergymeasure.energy.meter import Meter, Thermometer, Watcher
from llenergymeasure.energy.warning_log import WarningLog
from llenergymeasure.records.finding import Finding

# The phase of the passes that warm a device.
WARM_UP = "warmup"


@dataclass(frozen=True)
class Around:
    """The work of a window, run before it opens and after it closes, each for `MeterSet.steady_s` seconds at least."""

    lead: Callable[[], None]
    follow: Callable[[], None]


class Window:
    """What happened between two edges; complete once its `with` block is left."""

    def __init__(self, phase: str, start_monotonic_s: float) -> None:
        self.phase = phase
        self.start_monotonic_s = start_monotonic_s
        self.end_monotonic_s = start_monotonic_s
        self.entries: list[LedgerEntry] = []
        self.intervals: list[Interval] = []
        self.findings: list[Finding] = []
        self.facts: dict[str, Any] = {}
        self.sensors: dict[str, PartTime] = {}
        self._rebook: dict[str, Callable[[Sequence[Cycles]], LedgerEntry]] = {}

    @property
    def duration_s(self) -> float:
        return self.end_monotonic_s - self.start_monotonic_s

    def take(self, finished: Finished) -> None:
        """Add what a meter or a watcher reports."""
        self.entries += finished.entries
        self.intervals += finished.intervals
        self.findings += finished.findings
        self.facts |= finished.facts
        self.sensors |= finished.sensors
        self._rebook |= finished.rebook

    def know_loops(self, loops: Mapping[str, Sequence[Cycles]], paused_s: float = 0.0) -> None:
        """Book those devices again whose sensors see a part of the time, now that it is known what repeated on them.

        paused_s: how long the work paused between its passes for the sake of such sensors
        """
        for place, entry in enumerate(self.entries):
            rebook = self._rebook.get(entry.device)
            if rebook is not None and loops.get(entry.device):
                self.entries[place] = rebook(loops[entry.device])
                self.findings += sensor_aliased(self.entries[place])
        if paused_s:
            self.entries = [with_pauses(entry, paused_s) for entry in self.entries]


class MeterSet:
    """The open meters; `open_meters` makes one.

    `refused` lists the meters that do not work here; `no_meter` is the reason given where nothing measures;
    `watchers` look at the machine while a window is open.
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        warning_log: WarningLog,
        *,
        refused: Sequence[dict[str, Any]],
        no_meter: str,
        watchers: Sequence[Watcher] = (),
        clock: Clock = CLOCK,
    ) -> None:
        self._meters = list(meters)
        self.clock = clock
        self._warn = warning_log
        self._refused = list(refused)
        self._no_meter = no_meter
        self._watchers = list(watchers)
        self._unmetered: dict[str, str] = {}  # device → why
        self._in_window = False
        self._phase = ""

    @property
    def warnings(self) -> list[dict[str, str]]:
        """All warnings so far, {"code", "message"}, each text once."""
        return self._warn.warnings

    def restrict(self, device_uuids: Sequence[str]) -> None:
        """Count only these accelerators from now on: those that hold parameters (an empty list: none does).

        One that no meter reads, such as a board that NVML refuses, gets entries without energy and with the reason.
        """
        self._refuse_in_window("restrict")
        known: frozenset[str] = frozenset().union(*(meter.device_uuids for meter in self._meters))
        metered = [uuid for uuid in device_uuids if uuid in known] if known else list(device_uuids)
        if not device_uuids and self._covers_gpu():
            message = "no GPU holds parameters of the model; from here on GPU energy is not counted"
            self._warn("gpu-not-used", message)
        for meter in self._meters:
            meter.restrict(metered)
        # A meter that cannot tell devices apart covers them all.
        covered = metered if known or self._covers_gpu() else []
        self._unmetered = {uuid: self._why_unmetered(uuid) for uuid in device_uuids if uuid not in covered}
        for reason in self._unmetered.values():
            self._warn("gpu-not-metered", reason)

    @property
    def steady_s(self) -> float:
        """Seconds that the work of a window should run before it opens and after it closes; 0: makes no difference."""
        return max((meter.steady_s for meter in self._meters), default=0.0)

    @contextmanager
    def window(self, phase: str, synchronize: Callable[[], None], around: Around | None = None) -> Iterator[Window]:
        """Measure what the `with` block does. `synchronize` waits for the device and is called at both edges.

        With `around` the same work runs before the start and after the end, which then lie between two pieces of it.
        An exception of the block or of the work around it passes through; the window is closed first.
        """
        self._refuse_in_window("another window")
        synchronize()
        for watcher in self._watchers:
            watcher.begin(phase)
        for meter in self._meters:
            meter.prepare(phase)
        self._in_window, self._phase = True, phase
        window = Window(phase, self.clock.now_s())
        opened = False
        try:
            if around is not None:
                around.lead()
                synchronize()
            opened = self._open(window)
            yield window
            synchronize()
            self._close(window)
            if around is not None:
                around.follow()
        finally:
            if not opened:
                self._open(window)
            if self._in_window:
                self._close(window)
            self._finish(window, same_work=around is not None)

    def _open(self, window: Window) -> bool:
        for meter in self._meters:
            meter.begin(window.phase)
        window.start_monotonic_s = window.end_monotonic_s = self.clock.now_s()
        return True

    def _close(self, window: Window) -> None:
        window.end_monotonic_s = self.clock.now_s()
        self._in_window = False
        for meter in self._meters:
            meter.end()
        for watcher in self._watchers:
            watcher.end()

    def _finish(self, window: Window, *, same_work: bool) -> None:
        span = Span(window.phase, window.start_monotonic_s, window.end_monotonic_s, same_work)
        for meter in self._meters:
            window.take(meter.finish(span))
        window.entries += self._gaps(span, covered=bool(window.entries))
        for watcher in self._watchers:
            window.take(watcher.finish(span, window.entries))

    def temperatures_c(self) -> dict[str, float]:
        """Temperature in °C of each metered device that reports it, by UUID.

        Not to be called in a window, where asking would take the driver's time; but for the window of a warm-up, which
        ends by temperature and is no measurement.
        """
        if self._phase != WARM_UP:
            self._refuse_in_window("asking temperatures")
        known: dict[str, float] = {}
        for meter in self._meters:
            if isinstance(meter, Thermometer):
                known |= meter.temperatures_c()
        return known

    def trace(self) -> list[dict[str, Any]]:
        """Power samples taken in windows since the last call, at full rate.

        Each: monotonic_s, phase, device, power_w, energy_counter_j, source, temperature_c, sm_clock_mhz,
        memory_clock_mhz, throttle_reasons (names).
        """
        return [row for meter in self._meters for row in meter.trace()]

    def describe(self) -> dict[str, Any]:
        """Which meter measures what, and which one cannot and why, for the record of a run."""
        record: dict[str, Any] = {"meters": [], "devices": [], "refused": list(self._refused)}
        for meter in self._meters:
            described = meter.describe()
            for key in ("devices", "refused"):
                record[key] += [{"meter": meter.name, **entry} for entry in described.pop(key)]
            record["meters"].append(described)
        return record

    def close(self) -> None:
        """Give the meters back; a second call does nothing."""
        for meter in self._meters:
            meter.close()
        self._meters = []
        self._no_meter = "the meters are closed"

    def _covers_gpu(self) -> bool:
        return any("gpu" in meter.domains for meter in self._meters)

    def _gaps(self, span: Span, *, covered: bool) -> list[LedgerEntry]:
        """Entries without energy, for used devices or a machine that nothing meters."""
        gaps = [span.unknown(uuid, "gpu", NO_SOURCE, reason) for uuid, reason in self._unmetered.items()]
        if covered or gaps:
            return gaps
        reason = self._no_meter
        if self._meters:
            reason = "no GPU holds parameters of the model, and no open meter covers the rest of the machine"
        return [span.unknown("machine", "total", NO_SOURCE, reason)]

    def _why_unmetered(self, uuid: str) -> str:
        refusals = [
            f"{refused['device']}: {refused['reason']}"
            for meter in self._meters
            for refused in meter.describe()["refused"]
            if refused["device"] is not None
        ]
        own = [refusal for refusal in refusals if refusal.startswith(f"{uuid}: ")]
        because = f" (refused: {'; '.join(own or refusals)})" if refusals else ""
        return f"{uuid} holds parameters of the model and no open meter covers it{because}"

    def _refuse_in_window(self, what: str) -> None:
        if self._in_window:
            raise RuntimeError(f"a window is open; {what} has to wait until it is closed")


def idle_power(meters: MeterSet, phase: str, duration_s: float) -> list[LedgerEntry]:
    """Baseline with the same instrument as the run: the entries of a window in which nothing happens."""
    with meters.window(phase, synchronize=lambda: None) as window:
        meters.clock.sleep(duration_s)
    return window.entries
