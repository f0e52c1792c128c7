"""Claim: identical experiments begin within 1.5 °C of each other, whatever the time constant of the board.

500 simulated studies per time constant (30, 60, 120 s): four identical experiments on one board, which is at 40 °C idle
and comes to rest at 75 to 78 °C under their load, after the law of cooling, whose solution the simulation steps
through. The sensor rounds to whole degrees and is noisy. Passes last 0.5 to 6 s. Between experiments the board idles
for an idle window, between processes for as long as a model takes to load. The warm-up, the aim and the heating are the
functions that sessions use; virtual time replaces only the clock.

The spread is that of the true temperatures at which the four windows of a replicate begin. The claim is about the
worst replicate of all studies. For comparison, the benchmark runs the procedure of earlier versions: a range of 2 °C in
the last 10 s, a target of its own for each experiment, and the edge of a band of 4 °C as the goal.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts")]

STUDIES, REPLICATES, EXPERIMENTS = 500, 3, 4
TIME_CONSTANTS_S = (30.0, 60.0, 120.0)
LIMIT_C = 1.5
AMBIENT_C = 40.0
IDLE_WINDOW_S, PROCESS_S = 14.0, (20.0, 60.0)
BOARD = "GPU-simulated"


@dataclass
class Board:
    """One thermal mass: dT/dt = (rest - T)/tau, with the rest at `hot_c` under load and at 40 °C idle."""

    tau_s: float
    hot_c: float
    pass_s: float
    draw: random.Random
    true_c: float = AMBIENT_C
    now_s: float = 0.0

    def idle(self, seconds: float) -> None:
        self._settle(AMBIENT_C, seconds)

    def run_pass(self) -> float:
        seconds = self.pass_s * self.draw.uniform(0.99, 1.01)
        self._settle(self.hot_c, seconds)
        return seconds

    def reading(self) -> tuple[float, float | None]:
        return self.now_s, float(round(self.true_c + self.draw.gauss(0, 0.2)))

    def _settle(self, rest_c: float, seconds: float) -> None:
        self.true_c = rest_c + (self.true_c - rest_c) * math.exp(-seconds / self.tau_s)
        self.now_s += seconds


@dataclass(frozen=True)
class Study:
    """What one simulated study gave: the largest spread of a replicate, and the seconds that it took to be warm.

    to_go_c: how far below its rest the coldest of the windows began
    """

    spread_c: float
    to_go_c: float
    calibration_s: float
    replicate_s: float


def main() -> bool:
    holds = []
    for tau_s in TIME_CONSTANTS_S:
        before, now = (_studies(tau_s, study) for study in (_study_before, _study))
        worst_c = max(study.spread_c for study in now)
        holds.append(worst_c <= LIMIT_C)
        print(
            f"equal_warmth: time constant {tau_s:.0f} s, {STUDIES} studies of {EXPERIMENTS} identical experiments: "
            f"they begin within {worst_c:.2f} °C at worst (limit {LIMIT_C}); {_words(now)}, before {_words(before)}"
        )
        print(
            f"  seconds of warm-up for {EXPERIMENTS} experiments: calibration {_mean(now, 'calibration_s'):.0f} "
            f"(before {_mean(before, 'calibration_s'):.0f}), a replicate {_mean(now, 'replicate_s'):.0f} (before "
            f"{_mean(before, 'replicate_s'):.0f}); still to rise {_mean(now, 'to_go_c'):.1f} °C (before "
            f"{_mean(before, 'to_go_c'):.1f})"
        )
    return all(holds)


def _studies(tau_s: float, study: Callable[[Board], Study]) -> list[Study]:
    given = random.Random(f"{STUDIES}/{tau_s}")
    return [
        study(Board(tau_s, given.uniform(75, 78), math.exp(given.uniform(math.log(0.5), math.log(6))), given))
        for _ in range(STUDIES)
    ]


def _words(studies: list[Study]) -> str:
    spreads = sorted(study.spread_c for study in studies)
    return f"median {statistics.median(spreads):.2f} (worst {spreads[-1]:.2f})"


def _mean(studies: list[Study], figure: str) -> float:
    return statistics.fmean(getattr(study, figure) for study in studies)


def _study(board: Board) -> Study:
    from llenergymeasure.config import WarmupConfig
    from llenergymeasure.measurement.warmth.thermal import aim, bring_to, cool_down
    from llenergymeasure.measurement.warmth.warming import warm_up
    from llenergymeasure.pipeline.temperatures import add_boards
    from llenergymeasure.records.calibration import CalibratedExperiment, SessionCalibration
    from llenergymeasure.records.schema import SCHEMA_VERSION
    from llenergymeasure.records.study.warmth import NO_TEMPERATURES, Warmth

    warmup = WarmupConfig()
    begun_s = board.now_s
    warmths, passes = {}, {}
    for experiment in map(str, range(EXPERIMENTS)):
        warming = warm_up(board.run_pass, warmup, board.reading)
        end_c, start_c = warming.rest_c(warmup), warming.start_c
        assert end_c is not None and start_c is not None
        warmths[experiment] = Warmth(start_c=start_c, boards_c={BOARD: end_c}, rested=bool(warming.rested))
        passes[experiment] = warming.steady_passes
        board.idle(2.0)
    calibration_s = board.now_s - begun_s
    calibrated = {
        experiment: CalibratedExperiment(status="ok", failure=None, warmth=warmth)
        for experiment, warmth in warmths.items()
    }
    session = SessionCalibration(
        schema_version=SCHEMA_VERSION,
        session_id="0" * 12,
        setup_id="0" * 12,
        fingerprint="",
        startup_s=0.0,
        experiments=calibrated,
    )
    study = add_boards(NO_TEMPERATURES, [session])

    def begin(experiment: str) -> None:
        goal = aim(warmths[experiment], study, [BOARD], warmup)
        cool_down(goal, warmup, board.reading, board.idle)
        for _ in range(passes[experiment]):
            board.run_pass()
        bring_to(goal, warmup, board.reading, board.run_pass, board.idle)

    return _measured(board, calibration_s, begin)


def _measured(board: Board, calibration_s: float, begin: Callable[[str], None]) -> Study:
    """Replicates of a study: each in a new process, each experiment followed by its windows."""
    spreads, to_go, warming_s = [], 0.0, 0.0
    for _ in range(REPLICATES):
        board.idle(board.draw.uniform(*PROCESS_S))
        begins: list[float] = []
        for experiment in board.draw.sample(range(EXPERIMENTS), EXPERIMENTS):
            begun_s = board.now_s
            begin(str(experiment))
            warming_s += board.now_s - begun_s
            begins.append(board.true_c)
            for _ in range(math.ceil(15 / board.pass_s)):
                board.run_pass()
            board.idle(IDLE_WINDOW_S)
        spreads.append(max(begins) - min(begins))
        to_go = max(to_go, board.hot_c - min(begins))
    return Study(max(spreads), to_go, calibration_s, warming_s / REPLICATES)


def _study_before(board: Board) -> Study:
    """The procedure of earlier versions, which is no longer in the code."""
    begun_s = board.now_s
    targets, passes = {}, {}
    for experiment in map(str, range(EXPERIMENTS)):
        warm_s, seen = board.now_s, list[tuple[float, float]]()
        while True:
            board.run_pass()
            now_s, now_c = board.reading()
            seen.append((now_s - warm_s, now_c or 0.0))
            recent = [value for at_s, value in seen if at_s >= seen[-1][0] - 10]
            if len(seen) >= 4 and seen[-1][0] >= 10 and (max(recent) - min(recent) <= 2 or seen[-1][0] >= 120):
                break
        targets[experiment], passes[experiment] = seen[-1][1], len(seen)
        board.idle(2.0)
    calibration_s = board.now_s - begun_s

    def begin(experiment: str) -> None:
        start_s = board.now_s
        while (board.reading()[1] or 0.0) > targets[experiment] + 4 and board.now_s - start_s < 120:
            board.idle(0.5)
        for _ in range(passes[experiment]):
            board.run_pass()
        start_s = board.now_s
        while (board.reading()[1] or 0.0) < targets[experiment] - 4 and board.now_s - start_s < 120:
            board.run_pass()

    return _measured(board, calibration_s, begin)


if __name__ == "__main__":
    raise SystemExit(not main())
