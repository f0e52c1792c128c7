"""A powercap tree of real files whose counters a thread moves on, with a power that the test knows.

Each counter is worked out from the clock whenever it is written, so its energy is known whatever delays the thread.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

PERIOD_S = 0.001
RANGE_UJ = 262_143_328_850  # as on a Xeon

# folder → (name, watts)
SERVER = {
    "intel-rapl:0": ("package-0", 80.0),
    "intel-rapl:0:0": ("core", 60.0),
    "intel-rapl:0:1": ("dram", 10.0),
}


class FakePowercap:
    """`with FakePowercap(folder, SERVER):` moves the counters until the end.

    power: the share of each zone's watts that is drawn now; asked at every step, constant over it
    start_uj: where the counters begin
    """

    def __init__(
        self,
        root: Path,
        zones: dict[str, tuple[str, float]],
        *,
        power: Callable[[], float] = lambda: 1.0,
        range_uj: int = RANGE_UJ,
        start_uj: int = 0,
    ) -> None:
        self.root = root
        self._zones = zones
        self._power = power
        self._range_uj = range_uj
        self._joules = dict.fromkeys(zones, 0.0)
        self._start_uj = start_uj
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._latest_s = time.perf_counter()
        for folder, (name, _) in zones.items():
            (root / folder).mkdir(parents=True)
            (root / folder / "name").write_text(f"{name}\n")
            (root / folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self._write()

    def counter(self, folder: str) -> Path:
        return self.root / folder / "energy_uj"

    def add(self, folder: str, joules: float) -> None:
        """A jump of the counter, backwards with a minus."""
        self._joules[folder] += joules

    def true_joules(self, folder: str) -> float:
        """What was drawn until the last step."""
        return self._joules[folder]

    def __enter__(self) -> FakePowercap:
        self._latest_s = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_S):
            now_s = time.perf_counter()
            share = self._power()
            for folder, (_, watts) in self._zones.items():
                self._joules[folder] += watts * share * (now_s - self._latest_s)
            self._latest_s = now_s
            self._write()

    def _write(self) -> None:
        for folder in self._zones:
            microjoules = (self._start_uj + round(self._joules[folder] * 1e6)) % self._range_uj
            new = self.root / folder / "energy_uj.new"
            # A reader sees the old value or the new one, never half of one; a test may put a folder in its place, or
            # take the zone away.
            with contextlib.suppress(OSError):
                new.write_text(f"{microjoules}\n")
                new.replace(self.counter(folder))


if __name__ == "__main__":
    # A tree for other processes, until standard input is closed.
    with FakePowercap(Path(sys.argv[1]), SERVER):
        print("moving", flush=True)
        sys.stdin.read()
