"""Windows over the work of all processes of an experiment, and the ledger of the load and the idle windows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.energy import Around, LedgerEntry, MeterSet, Window, primary_energy
from llenergymeasure.energy.ledger import MEASURED
from llenergymeasure.engine.replicas import Group
from llenergymeasure.measurement.metrics.baselines import RESIDENT
from llenergymeasure.measurement.settling import PHASE as SETTLING
from llenergymeasure.measurement.settling import STEP_S, UNMEASURED, Settling, Step, settle
from llenergymeasure.measurement.window_length import resolves

BARE = "idle"


class Windows:
    """The meters of this process, behind windows that open before any process begins and close when all are done."""

    def __init__(self, meters: MeterSet, group: Group) -> None:
        self.meters = meters
        self._group = group
        self.ledger: list[LedgerEntry] = []
        self._resident: list[Window] = []

    @property
    def steady_s(self) -> float:
        """Seconds of the same work that the first process's meters need before and after a window; 0 for none."""
        steady_s: float = self._group.share(self.meters.steady_s)
        return steady_s

    @contextmanager
    def open(self, phase: str, synchronize: Callable[[], None], around: Around | None = None) -> Iterator[Window]:
        """A window; `around` runs the same work before it opens and after it closes, in every process."""

        def together() -> None:
            synchronize()
            self._group.barrier()

        with self.meters.window(phase, together, around) as window:
            self._group.barrier()
            yield window

    def keep(self, window: Window) -> None:
        """Add a window to the ledger of the load."""
        self.ledger.extend(window.entries)

    def idle(self, intent: ExperimentConfig, phase: str) -> None:
        """A baseline with the same instrument as the run, where the study wants one.

        With the model resident, once power has settled: the window before it was one of work.
        """
        if not intent.baseline.enabled:
            return
        settling = self._settle() if phase == RESIDENT else None
        # Nothing was asked of the devices, and synchronising would create the very context whose power
        # the bare baseline must not hold.
        with self.open(phase, _nothing_to_wait_for) as window:
            self.meters.clock.sleep(intent.baseline.duration_s)
        self.keep(window)
        if settling is not None:
            window.facts["settling"] = settling.to_dict()
            self._resident.append(window)

    def _settle(self) -> Settling:
        """Wait for power to settle, where it is measured; the same steps in all processes."""
        latest = self._resident[-1].entries if self._resident else self.ledger
        measured = any(entry.energy_j is not None and entry.source.startswith(MEASURED) for entry in latest)
        if not self._group.share(measured):
            return UNMEASURED
        return settle(self._step, self.meters.clock.now_s)

    def _step(self) -> Step:
        """One second of waiting, as the first process saw it."""
        begun_s = self.meters.clock.now_s()
        with self.open(SETTLING, _nothing_to_wait_for) as window:
            self.meters.clock.sleep(STEP_S)
        energy = primary_energy(window.entries, SETTLING)
        power_w = None
        if energy.energy_j is not None and energy.source is not None and energy.source.startswith(MEASURED):
            power_w = energy.energy_j / energy.duration_s
        sm_clocks_mhz = {
            device: facts["sm_clock_median_mhz"]
            for device, facts in window.facts.items()
            if facts.get("sm_clock_median_mhz") is not None
        }
        here = (power_w, sm_clocks_mhz, self.meters.clock.now_s() - begun_s)
        return Step(*self._group.share(here))

    def baselines(self, start_s: float) -> list[Window]:
        """The idle windows with the model resident: the last before `start_s` and all after it."""
        earlier = [window.start_monotonic_s for window in self._resident if window.end_monotonic_s <= start_s]
        since_s = max(earlier, default=start_s)
        return [window for window in self._resident if window.start_monotonic_s >= since_s]

    def idle_entries(self, start_s: float) -> list[LedgerEntry]:
        """Of the bare baseline, and of those of `baselines`."""
        bare = [entry for entry in self.ledger if entry.phase == BARE]
        return [*bare, *(entry for window in self.baselines(start_s) for entry in window.entries)]

    def reading(self) -> tuple[float, float | None]:
        """The first process's clock in seconds and the temperature of its hottest device, the same in all processes.

        None where no device reports its temperature. All processes decide by it, so that none waits for another.
        """
        temperatures = self.meters.temperatures_c().values()
        here = (time.perf_counter(), max(temperatures, default=None))
        shared: tuple[float, float | None] = self._group.share(here)
        return shared

    def temperatures_c(self) -> dict[str, float]:
        """Of each device that reports it, by UUID; the first process's, the same in all."""
        shared: dict[str, float] = self._group.share(self.meters.temperatures_c())
        return shared

    def resolves(self) -> bool:
        """Whether a meter here has edges that a longer window makes smaller; the same in all processes."""
        any_resolves: bool = self._group.share(any(resolves(entry.components) for entry in self.ledger))
        return any_resolves


def _nothing_to_wait_for() -> None:
    """An idle device has nothing left to finish."""
