"""Passes of one experiment in every process of it: warm-up, timing, windows."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llenergymeasure.config import WarmupConfig
from llenergymeasure.energy import WARM_UP, Around, PhaseEnergy, Window, primary_energy
from llenergymeasure.energy.integration.sensors import PartTime
from llenergymeasure.engine.devices import Anchor, DeviceKind
from llenergymeasure.engine.evidence import Observation, observe
from llenergymeasure.engine.generation.generation import Generator, Request
from llenergymeasure.engine.loading.compilation import counts, since
from llenergymeasure.engine.replicas import Group
from llenergymeasure.measurement.calibration import Calibration, passes_for
from llenergymeasure.measurement.rhythm.dither import draw_pauses, rhythm_from_timeline
from llenergymeasure.measurement.warmth.power_slope import power_slope
from llenergymeasure.measurement.warmth.thermal import Aim, bring_to, cool_down, thermal_record
from llenergymeasure.measurement.warmth.warming import Warming, warm_up
from llenergymeasure.measurement.windows import Windows
from llenergymeasure.records.measurement import ThermalRecord
from llenergymeasure.records.study.warmth import Warmth

# CUDA graphs are tied to the addresses of a cache. Those come back after a few passes; where they do not, the window's
# own count says so.
MOST_GRAPH_PASSES = 10


@dataclass(frozen=True)
class Warmed:
    """A warm-up: its window, how it came to its temperature, and the passes that CUDA graphs needed after it.

    step_s, prefill_s: how long a decoding step and a prefill took in it; None where that is not known
    """

    window: Window
    thermal: ThermalRecord
    graph_passes: int
    step_s: float | None = None
    prefill_s: float | None = None


@dataclass(frozen=True)
class Ran:
    """A measured window and what ran in it.

    anchor: ties the device's stamps to the window's clock
    raw: the passes, unread; counts: what torch's compiler did while the window was open
    paused_s: between the passes, for the sensors' sake
    """

    window: Window
    anchor: Anchor
    raw: list[Any]
    counts: Mapping[str, int]
    paused_s: float = 0.0


@dataclass(frozen=True)
class Passes:
    """Runs the passes of a generator; what they leave stays in the generator until `take_raw`."""

    generator: Generator
    group: Group
    devices: DeviceKind
    windows: Windows

    def run(self, passes: int, *, prefill_only: bool = False, pauses_s: Sequence[float] = ()) -> None:
        """Run that many passes in every process, and wait for the devices.

        pauses_s: before each pass but the first, empty for none
        """

        def here() -> None:
            for pause_s in (0.0, *(pauses_s or [0.0] * (passes - 1)))[:passes]:
                if pause_s:
                    time.sleep(pause_s)
                self.generator.run_pass(prefill_only=prefill_only)
            self.devices.synchronize()

        self.group.together(here)

    def observed(self, observation: Observation) -> None:
        """The instrumented pass; what it used is in `observation`."""
        self.group.together(lambda: observe(observation, self.generator))

    def timed(self, *, prefill_only: bool = False) -> Callable[[], float]:
        """A pass that returns its duration in seconds, that of the slowest process."""

        def run() -> float:
            self.run(1, prefill_only=prefill_only)
            return self.seconds(self.generator.take_raw())[0]

        return run

    def timed_and_observed(self, observation: Observation) -> Callable[[], float]:
        """As `timed`; the first pass is instrumented, as it will be when measuring."""
        plain = self.timed()
        passes = itertools.count()

        def run() -> float:
            if next(passes):
                return plain()
            start = time.perf_counter()
            self.observed(observation)
            return max(self.group.gather(time.perf_counter() - start))

        return run

    def trial(self, passes: int, pass_s: float) -> PhaseEnergy:
        """The first process's energy of a window of `passes` passes of `pass_s` seconds that is not a measurement."""
        ran = self.window("trial", passes, pass_s)
        energy: PhaseEnergy = self.group.share(primary_energy(ran.window.entries, "trial"))
        return energy

    def warm_up(self, run_pass: Callable[[], float], warmup: WarmupConfig) -> tuple[Warming, Warmth | None]:
        """Passes until latency and temperature are flat; and how warm the devices got, None where they do not say.

        Where they do, the passes are a window of their own, whose trace shows how power follows temperature.
        """
        if self.windows.reading()[1] is None:
            return warm_up(run_pass, warmup, self.windows.reading), None
        self.windows.meters.trace()
        with self.windows.open(WARM_UP, self.devices.synchronize):
            warming = warm_up(run_pass, warmup, self.windows.reading)
            boards_c = self.windows.temperatures_c()
        slope = self.group.share(power_slope(warming, self.windows.meters.trace()))
        end_c = warming.rest_c(warmup)
        if not boards_c or warming.start_c is None or end_c is None:
            return warming, None
        hottest_c = max(boards_c.values())
        warmth = Warmth(
            start_c=warming.start_c,
            boards_c={uuid: end_c - hottest_c + now_c for uuid, now_c in boards_c.items()},
            rested=bool(warming.rested),
            power_per_c_w=None if slope is None else slope.per_c_w,
            power_per_c_standard_w=None if slope is None else slope.standard_w,
        )
        return warming, warmth

    def warm(self, warmup: WarmupConfig, plan: Calibration, goal: Aim | None, observation: Observation) -> Warmed:
        """Do the calibrated warm-up in a window of its own, then come to the temperature of the study.

        Where the last of its passes still compiled code or recorded a CUDA graph, further passes follow until one does
        neither.
        """
        reading = self.windows.reading
        start_c, cooled_s = cool_down(goal, warmup, reading)
        with self.windows.open(WARM_UP, self.devices.synchronize) as window:
            # The instrumented pass has the measured shapes and keywords: it is the first of the warm-up passes.
            self.observed(observation)
            self.devices.forget_instruments()
            before_last: Mapping[str, int] = observation.began
            if plan.warmup_passes > 1:
                self.run(plan.warmup_passes - 2)
                before_last = counts()
                self.run(1)
            made = self._made(since(before_last))
        graph_passes = self._until_nothing_is_made(made)
        window_c, extra, cooled_again_s = bring_to(goal, warmup, reading, lambda: self.run(1))
        # The last pass before the window: closing the warm-up's own window let the device wait for a tick.
        self.run(1, prefill_only=True)
        raw = self.generator.take_raw()
        # Reading the stamps takes a moment, in which the devices would cool: only where it matters.
        timeline = self.generator.timeline(raw, self.devices.clock.anchor()) if window.sensors else None
        thermal = thermal_record(
            goal,
            warmup,
            start_c=start_c,
            cooled_s=cooled_s + cooled_again_s,
            extra_passes=extra,
            window_c=window_c,
        )
        step_s = rhythm_from_timeline(timeline)
        return Warmed(window, thermal, graph_passes, step_s, rhythm_from_timeline(timeline, prefill_only=True))

    def _until_nothing_is_made(self, made: int) -> int:
        """Run passes until one compiles nothing and records no CUDA graph; returns how many, the same in all processes.

        A pass over a static cache makes a new one. Where it lies at an address that no graph was recorded for, the
        compiler records again, and that pass is slower than the next. Code that the library compiles for itself, such
        as flex_attention's, may be compiled a second time for other shapes.
        """
        for passes in range(MOST_GRAPH_PASSES):
            if not made:
                return passes
            before = counts()
            self.run(1)
            made = self._made(since(before))
        return MOST_GRAPH_PASSES

    def _made(self, counted: Mapping[str, int]) -> int:
        """Graphs recorded and frames compiled, the most that a process made."""
        return max(self.group.gather(counted["graphs_recorded"] + counted["frames_compiled"]))

    def window(
        self,
        phase: str,
        passes: int,
        pass_s: float,
        *,
        prefill_only: bool = False,
        rhythm_s: float | None = None,
        sensors: Iterable[PartTime] = (),
    ) -> Ran:
        """A measured window.

        Where a meter needs it, the same passes run before it opens and after it closes, so that power does not step at
        its edges; what they leave is dropped.
        pass_s: how long a pass takes, in seconds
        rhythm_s: of its steps; passes are kept apart where that keeps step with one of the `sensors`
        """
        pauses_s = draw_pauses(passes, rhythm_s, passes * pass_s, sensors)
        steady_s = self.windows.steady_s
        raw: list[Any] = []

        def lead() -> None:
            self.run(passes_for(steady_s, pass_s), prefill_only=prefill_only)
            self.generator.take_raw()

        def follow() -> None:
            raw.extend(self.generator.take_raw())
            lead()

        around = Around(lead, follow) if steady_s else None
        with self.windows.open(phase, self.devices.synchronize, around) as window:
            anchor, before = self.devices.clock.anchor(), counts()
            self.run(passes, prefill_only=prefill_only, pauses_s=pauses_s)
            counted = since(before)
        return Ran(window, anchor, raw or self.generator.take_raw(), counted, sum(pauses_s))

    def seconds(self, raw: Sequence[Any]) -> list[float]:
        """How long each of these passes took in the slowest process."""
        by_process = self.group.gather([self.generator.pass_seconds(raw_pass) for raw_pass in raw])
        return [max(seconds) for seconds in zip(*by_process, strict=True)]

    def requests(self, raw: Sequence[Any]) -> list[Request]:
        """The requests of these passes in every process, by pass and prompt, with batches numbered across processes."""
        merged: list[Request] = []
        for requests in self.group.counted(self.group.gather(self.generator.read(raw))):
            before = 1 + max((request.batch_index for request in merged), default=-1)
            merged += [replace(request, batch_index=before + request.batch_index) for request in requests]
        return sorted(merged, key=lambda request: (request.pass_index, request.request_index))

    def first_outputs(self, observation: Observation) -> list[tuple[int, ...]]:
        """The output ids of every process's instrumented pass, in prompt order."""
        assert observation.generated is not None, "the first warm-up pass is the instrumented one"
        by_process = self.group.counted(self.group.gather(observation.generated.rows))
        return [row.output_ids for rows in by_process for row in rows]

    def count_logits(self, observation: Observation) -> tuple[int, int]:
        """Rows of logits that are not finite, and all rows, of every process's instrumented pass."""
        assert observation.heard is not None, "the first warm-up pass is the instrumented one"
        logits = observation.heard.logits
        by_process = self.group.counted(self.group.gather((logits.bad_rows, logits.rows)))
        return sum(bad_rows for bad_rows, _ in by_process), sum(rows for _, rows in by_process)
