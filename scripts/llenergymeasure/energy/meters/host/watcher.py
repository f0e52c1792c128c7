"""Watches the host at the edges of a window: other programs on its processors, its governor, clocks, load, swapping."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.ledger import Finished, LedgerEntry, Span
from llenergymeasure.energy.meters.host import readings as host_readings
from llenergymeasure.energy.meters.host.foreign_load import HostLoad, energy_share, stolen_share, time_share
from llenergymeasure.energy.meters.host.readings import TICK_S, Busy
from llenergymeasure.records.finding import Finding

T = TypeVar("T")

# Below this, a tick of 10 ms is too much of the window.
SHORTEST_S = 0.2
# The machine's time is counted by what runs at each tick: of n ticks a share p is known to √(n·p·(1−p)). So many
# standard deviations are not a finding.
TICK_DEVIATIONS = 4.0


@dataclass(frozen=True)
class _Edge:
    """What was read at an edge of the window; a text where reading failed."""

    time_s: float
    busy: Busy | str
    own_s: float | str
    waiting_s: dict[int, float] | str
    governors: dict[str, str] | str
    clocks_mhz: list[float] | str
    swapped_in: int | str


class HostWatcher:
    """Facts under `host`; findings for foreign load and a changed governor."""

    def __init__(self, clock: Clock, foreign_load: float) -> None:
        """foreign_load: which share of the window's energy or time others may take (measurement.foreign_load)."""
        self._clock = clock
        self._foreign_load = foreign_load
        self._start: _Edge | None = None
        self._end: _Edge | None = None

    def begin(self, phase: str) -> None:  # noqa: ARG002
        self._start, self._end = self._read(), None

    def end(self) -> None:
        self._end = self._read()

    def finish(self, span: Span, entries: Sequence[LedgerEntry]) -> Finished:
        if self._start is None or self._end is None:
            return Finished(facts={"host": {"reason": "the window was not watched"}})
        start, end = self._start, self._end
        facts: dict[str, Any] = {"load_average_1min": _tried(lambda: os.getloadavg()[0])}
        findings = _governor(start, end, facts)
        load = _load(start, end, span)
        if isinstance(load, str):
            facts["foreign_cpu"] = {"cores": None, "reason": load}
        else:
            findings += _foreign(load, self._foreign_load, entries, facts)
        facts["clocks_mhz"] = {"start": start.clocks_mhz, "end": end.clocks_mhz}
        facts["swapped_in_pages"] = (
            end.swapped_in - start.swapped_in
            if isinstance(start.swapped_in, int) and isinstance(end.swapped_in, int)
            else end.swapped_in
        )
        return Finished(findings=findings, facts={"host": facts})

    def _read(self) -> _Edge:
        own_s = _tried(lambda: host_readings.read_own_s(os.getpid()))
        return _Edge(
            time_s=self._clock.now_s(),
            busy=_tried(host_readings.read_busy),
            own_s=own_s,
            waiting_s=_tried(lambda: host_readings.read_waiting_s(os.getpid())),
            governors=_tried(host_readings.read_governors),
            clocks_mhz=_tried(host_readings.read_clocks_mhz),
            swapped_in=_tried(host_readings.read_swapped_in),
        )


def _load(start: _Edge, end: _Edge, span: Span) -> HostLoad | str:
    """Mean load over the time between the watcher's own readings; in words why it is not known."""
    for value in (start.busy, end.busy, start.own_s, end.own_s):
        if isinstance(value, str):
            return value
    assert isinstance(start.busy, Busy) and isinstance(end.busy, Busy)
    assert isinstance(start.own_s, float) and isinstance(end.own_s, float)
    seconds = end.time_s - start.time_s
    if span.duration_s < SHORTEST_S or seconds <= 0:
        return f"the window of {span.duration_s:.3g} s is too short for the kernel's ticks of {TICK_S * 1e3:g} ms"
    busy = (end.busy.busy_s - start.busy.busy_s) / seconds
    usable_busy = (end.busy.usable_busy_s - start.busy.usable_busy_s) / seconds
    own = (end.own_s - start.own_s) / seconds
    cores = end.busy.cores
    share = min(max(busy / cores, 0.0), 1.0)
    return HostLoad(
        # The two are counted differently, by ticks and by the scheduler: a little less than nothing is nothing.
        foreign=max(0.0, busy - own),
        own=own,
        machine_cores=cores,
        usable_cores=end.busy.usable_cores,
        foreign_here=max(0.0, usable_busy - own),
        usable_busy=usable_busy,
        stolen=(end.busy.stolen_s - start.busy.stolen_s) / seconds,
        waiting=_waiting(start.waiting_s, end.waiting_s, seconds),
        noise=TICK_DEVIATIONS * math.sqrt(cores * share * (1 - share) * TICK_S / seconds),
    )


def _waiting(start: dict[int, float] | str, end: dict[int, float] | str, seconds: float) -> float | None:
    if isinstance(start, str) or isinstance(end, str):
        return None
    return sum(waiting_s - start.get(thread, 0.0) for thread, waiting_s in end.items()) / seconds


def _foreign(load: HostLoad, limit: float, entries: Sequence[LedgerEntry], facts: dict[str, Any]) -> list[Finding]:
    of_energy, of_time, stolen = energy_share(load, entries), time_share(load), stolen_share(load)
    facts["foreign_cpu"] = {
        "cores": load.foreign,
        "own_cores": load.own,
        "machine_cores": load.machine_cores,
        "usable_cores": load.usable_cores,
        "foreign_on_usable_cores": load.foreign_here,
        "stolen_cores": load.stolen,
        "waiting_cores": load.waiting,
        "noise_cores": load.noise,
        "energy_share": of_energy,
        "waiting_share": of_time,
        "stolen_share": stolen,
        "limit": limit,
        "reason": None,
    }
    causes = []
    if of_energy > limit:
        causes.append(
            f"other programs kept {load.foreign:.2f} of {load.machine_cores} cores busy, this measurement "
            f"{load.own:.2f}: about {of_energy:.0%} of the window's energy is theirs"
        )
    if of_time > limit:
        causes.append(
            f"threads of this measurement waited {of_time:.0%} of their time for a core, while other programs kept "
            f"{load.foreign_here:.2f} of the {load.usable_cores} cores busy that it may use"
        )
    if stolen > limit:
        causes.append(f"a hypervisor took {stolen:.0%} of the processor time")
    if not causes:
        return []
    return [Finding("foreign-cpu-load", f"{'; '.join(causes)} (measurement.foreign_load: {limit:g})")]


def _governor(start: _Edge, end: _Edge, facts: dict[str, Any]) -> list[Finding]:
    facts["governors"] = sorted(set(end.governors.values())) if isinstance(end.governors, dict) else end.governors
    before, after = start.governors, end.governors
    if isinstance(before, str) or isinstance(after, str):
        return []
    changed = [name for name in before if name in after and before[name] != after[name]]
    if not changed:
        return []
    first = changed[0]
    message = (
        f"the governor of {len(changed)} of {len(after)} frequency policies changed in the window: {first} from "
        f"{before[first]} to {after[first]}"
    )
    return [Finding("governor-changed", message)]


def _tried(read: Callable[[], T]) -> T | str:
    """The value that `read` returns, or in words why it failed."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001  a watcher never raises: nothing it sees is worth a window
        return f"{type(error).__name__}: {error}"
