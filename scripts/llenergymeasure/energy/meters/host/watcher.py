"""Watches the host at the edges of a window: other programs on its processors, its governor, clocks, load, swapping."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.ledger import ESTIMATED, MEASURED, NO_SOURCE, Finished, LedgerEntry, Span
from llenergymeasure.energy.meters.host import readings as host_readings
from llenergymeasure.energy.meters.host.readings import TICK_S, Busy
from llenergymeasure.records.finding import Finding

T = TypeVar("T")

# Programs that are not ours and keep more than this share of one core busy over a window make it doubtful.
FOREIGN_SHARE = 0.25
# The process that drives a GPU needs one core: where others leave that much of ours free, they do not slow it down.
NEEDED_CORES = 1.0
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
    governors: dict[str, str] | str
    clocks_mhz: list[float] | str
    swapped_in: int | str


class HostWatcher:
    """Facts under `host`; findings for foreign load and a changed governor."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
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
        findings = [*_foreign(start, end, span, entries, facts), *_governor(start, end, facts)]
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
            governors=_tried(host_readings.read_governors),
            clocks_mhz=_tried(host_readings.read_clocks_mhz),
            swapped_in=_tried(host_readings.read_swapped_in),
        )


def _foreign(
    start: _Edge, end: _Edge, span: Span, entries: Sequence[LedgerEntry], facts: dict[str, Any]
) -> list[Finding]:
    """Processor time of the machine less our own, over the time between the watcher's own readings."""
    for value in (start.busy, end.busy, start.own_s, end.own_s):
        if isinstance(value, str):
            facts["foreign_cpu"] = {"cores": None, "reason": value}
            return []
    assert isinstance(start.busy, Busy) and isinstance(end.busy, Busy)
    assert isinstance(start.own_s, float) and isinstance(end.own_s, float)
    seconds = end.time_s - start.time_s
    if span.duration_s < SHORTEST_S or seconds <= 0:
        reason = f"the window of {span.duration_s:.3g} s is too short for the kernel's ticks of {TICK_S * 1e3:g} ms"
        facts["foreign_cpu"] = {"cores": None, "reason": reason}
        return []
    busy = (end.busy.busy_s - start.busy.busy_s) / seconds
    usable_busy = (end.busy.usable_busy_s - start.busy.usable_busy_s) / seconds
    own = (end.own_s - start.own_s) / seconds
    cores, usable = end.busy.cores, end.busy.usable_cores
    share = min(max(busy / cores, 0.0), 1.0)
    noise = TICK_DEVIATIONS * math.sqrt(cores * share * (1 - share) * TICK_S / seconds)
    of_host = _includes_the_host(entries)
    # The two are counted differently, by ticks and by the scheduler: a little less than nothing is nothing.
    foreign, foreign_here = max(0.0, busy - own), max(0.0, usable_busy - own)
    facts["foreign_cpu"] = {
        "cores": foreign,
        "own_cores": own,
        "machine_cores": cores,
        "usable_cores": usable,
        "foreign_on_usable_cores": foreign_here,
        "in_the_energy": of_host,
        "stolen_cores": (end.busy.stolen_s - start.busy.stolen_s) / seconds,
        "noise_cores": noise,
        "reason": None,
    }
    too_much = max(FOREIGN_SHARE, noise)
    if of_host and foreign > too_much:
        message = (
            f"other programs kept {foreign:.2f} of {cores} cores busy, this measurement {own:.2f} "
            f"(over {FOREIGN_SHARE:g} of a core is too much)"
        )
    elif not of_host and foreign_here > too_much and usable - usable_busy < NEEDED_CORES:
        message = (
            f"other programs kept {foreign_here:.2f} of the {usable} cores busy that this measurement may use, itself "
            f"{own:.2f}: with less than one core free, the GPU waits for the host"
        )
    else:
        return []
    return [Finding("foreign-cpu-load", message)]


def _includes_the_host(entries: Sequence[LedgerEntry]) -> bool:
    """Whether the host's work is in the window's energy, or is the work itself, because no GPU does it.

    What others do on the host is not in the energy of a GPU's board; it can only slow down what drives the board.
    """
    if not any(entry.domain == "gpu" for entry in entries):
        return True
    if any(entry.source == NO_SOURCE for entry in entries):
        return False
    for family in (MEASURED, ESTIMATED):
        chosen = [entry for entry in entries if entry.source.startswith(family)]
        if chosen:
            return any(entry.domain != "gpu" for entry in chosen)
    return False


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
