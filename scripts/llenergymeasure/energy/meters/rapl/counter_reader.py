"""A background thread that reads counters at a steady interval while a window is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.meters.rapl.powercap import Zone, why_unreadable
from llenergymeasure.energy.sampling.window_thread import WindowThread


@dataclass(frozen=True)
class Reading:
    """All counters at one moment: `time_s` is the middle of the reading, which took `took_s` seconds.

    values: microjoules by zone label, or why there are none
    """

    time_s: float
    took_s: float
    values: Mapping[str, int | str]


def read_zones(zones: Sequence[Zone], clock: Clock) -> Reading:
    """Read the counters now."""
    before_s = clock.now_s()
    values: dict[str, int | str] = {}
    for zone in zones:
        try:
            values[zone.label] = zone.read_uj()
        except (OSError, ValueError) as error:
            values[zone.label] = why_unreadable(error)
    after_s = clock.now_s()
    return Reading((before_s + after_s) / 2, after_s - before_s, values)


@dataclass
class _Window:
    """The readings of one window, in order."""

    readings: list[Reading]
    over: bool = False


class CounterReader:
    """Reads between `start` and `stop` every `interval_s` seconds, and sleeps otherwise."""

    def __init__(self, zones: Sequence[Zone], interval_s: float, clock: Clock) -> None:
        self._zones = zones
        self._interval_s = interval_s
        self._clock = clock
        self._thread = WindowThread("rapl-reader", self._watch, clock)

    @property
    def death(self) -> str | None:
        """Why no more readings came in this window; None where they did."""
        return self._thread.death

    def start(self) -> None:
        """A first reading, taken here and now; the thread takes the next one an interval later."""
        with self._thread.changed:
            self._thread.open(_Window([read_zones(self._zones, self._clock)]))

    def stop(self) -> list[Reading]:
        """The last reading, taken here and now, and all before it since `start`."""
        with self._thread.changed:
            # A reading of the thread's that is under way is dropped: of two at once, nobody knows which one read first.
            window = self._thread.shut()
            last = read_zones(self._zones, self._clock)
        return [*(window.readings if window is not None else ()), last]

    def close(self) -> None:
        """Let the thread end."""
        self._thread.close()

    def _watch(self, window: _Window) -> None:
        changed = self._thread.changed
        due_s = self._clock.now_s()
        while True:
            due_s = max(due_s + self._interval_s, self._clock.now_s())
            with changed:
                left_s = max(0.0, due_s - self._clock.now_s())
                if self._clock.wait_for(changed, lambda: window.over, left_s):
                    return
            taken = read_zones(self._zones, self._clock)
            with changed:
                if window.over:
                    return
                window.readings.append(taken)
