"""A background thread that reads counters at a steady interval while a window is open."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.meters.rapl.powercap import Zone, why_unreadable


@dataclass(frozen=True)
class Look:
    """All counters at one moment: `time_s` is the middle of the reading, which took `took_s` seconds.

    values: microjoules by zone label, or why there are none
    """

    time_s: float
    took_s: float
    values: Mapping[str, int | str]


def look(zones: Sequence[Zone], clock: Clock) -> Look:
    """Read the counters now."""
    before_s = clock.now_s()
    values: dict[str, int | str] = {}
    for zone in zones:
        try:
            values[zone.label] = zone.read_uj()
        except (OSError, ValueError) as error:
            values[zone.label] = why_unreadable(error)
    after_s = clock.now_s()
    return Look((before_s + after_s) / 2, after_s - before_s, values)


class CounterReader:
    """Looks between `start` and `stop` every `interval_s` seconds, and sleeps otherwise. A dead thread is replaced."""

    def __init__(self, zones: Sequence[Zone], interval_s: float, clock: Clock) -> None:
        self._zones = zones
        self._interval_s = interval_s
        self._clock = clock
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._running = False
        self._window = 0
        self._looks: list[Look] = []
        self._closed = False
        self.death: str | None = None

    def start(self) -> None:
        """A first look, taken here and now; the thread takes the next one an interval later."""
        with self._changed:
            self._window += 1
            self._looks = [look(self._zones, self._clock)]
            self._running = True
            self.death = None
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="rapl-reader", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def stop(self) -> list[Look]:
        """The last look, taken here and now, and all before it since `start`."""
        with self._changed:
            # A look of the thread's that is under way is dropped: of two looks at once, nobody knows which one read
            # first.
            self._running = False
            looks = self._looks
            last = look(self._zones, self._clock)
            self._changed.notify_all()
        return [*looks, last]

    def close(self) -> None:
        """Let the thread end."""
        with self._changed:
            self._closed, self._running = True, False
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        try:
            while self._wait_for_window():
                self._watch_window()
        except Exception as error:  # noqa: BLE001  whatever kills the thread, the end of the window has to tell it
            self.death = f"{type(error).__name__}: {error}"

    def _wait_for_window(self) -> bool:
        with self._changed:
            self._clock.wait_for(self._changed, lambda: self._closed or self._running, None)
            return not self._closed

    def _watch_window(self) -> None:
        with self._changed:
            window = self._window
        due_s = self._clock.now_s()
        while True:
            due_s = max(due_s + self._interval_s, self._clock.now_s())
            with self._changed:
                left_s = max(0.0, due_s - self._clock.now_s())
                if self._clock.wait_for(self._changed, lambda: self._ended(window), left_s):
                    return
            taken = look(self._zones, self._clock)
            with self._changed:
                if self._ended(window):
                    return
                self._looks.append(taken)

    def _ended(self, window: int) -> bool:
        return self._closed or not self._running or self._window != window
