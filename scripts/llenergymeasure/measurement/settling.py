"""Waiting until idle power has come down: clocks, voltage and temperature follow the end of a load with a delay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

PHASE = "settling"
STEP_S = 1.0
# Successive steps whose mean powers, and SM clocks, differ by no more than this share have settled.
TOLERANCE = 0.02
# Two such steps are enough, but for boards whose clocks are still those of the first step: some hold them for a while
# after the work, at a steady power, and let them fall then.
AGREEING_STEPS = 2
AGREEING_STEPS_AT_FIRST_CLOCK = 3
# Waiting ends after this: a board needs a few seconds, and a machine that others use never settles.
MOST_S = 20.0
NOTHING_MEASURED = "no meter here measures power"


@dataclass(frozen=True)
class Step:
    """One second of waiting.

    power_w: mean power, None where no meter measured it
    sm_clocks_mhz: median SM clock by board, of those that report it
    took_s: with what the meters need around their window
    """

    power_w: float | None
    sm_clocks_mhz: Mapping[str, float]
    took_s: float


@dataclass(frozen=True)
class Settling:
    """How power came to rest before an idle window.

    settled: None where nothing measures power, for `reason`; False where it still varied when waiting was given up
    waited_s: from the first step to the idle window; powers_w: mean power of each step; sm_clocks_mhz: of each step,
        the median SM clock by board
    """

    settled: bool | None
    waited_s: float
    powers_w: tuple[float, ...]
    sm_clocks_mhz: tuple[Mapping[str, float], ...] = ()
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "powers_w": list(self.powers_w),
            "sm_clocks_mhz": [dict(clocks) for clocks in self.sm_clocks_mhz],
            "tolerance": TOLERANCE,
        }


UNMEASURED = Settling(None, 0.0, (), reason=NOTHING_MEASURED)


def settle(step: Callable[[], Step], now_s: Callable[[], float]) -> Settling:
    """Wait until successive steps agree.

    step: waits for one, and returns the same in all processes of an experiment
    now_s: the meters' clock; it decides nothing, because several processes have to do the same number of steps
    """
    begun_s = now_s()
    powers_w: list[float] = []
    clocks: list[Mapping[str, float]] = []
    left_s = MOST_S
    settled = False
    while not settled and (left_s > 0 or len(powers_w) < AGREEING_STEPS):
        done = step()
        left_s -= done.took_s
        if done.power_w is None:
            return Settling(None, now_s() - begun_s, tuple(powers_w), tuple(clocks), NOTHING_MEASURED)
        powers_w.append(done.power_w)
        clocks.append(done.sm_clocks_mhz)
        settled = _at_rest(powers_w, clocks)
    return Settling(settled, now_s() - begun_s, tuple(powers_w), tuple(clocks))


def _at_rest(powers_w: Sequence[float], clocks: Sequence[Mapping[str, float]]) -> bool:
    held = any(_agree(mhz, clocks[0].get(board, mhz)) for board, mhz in clocks[-1].items())
    needed = AGREEING_STEPS_AT_FIRST_CLOCK if held else AGREEING_STEPS
    return (
        len(powers_w) >= needed
        and all(_agree(later, earlier) for earlier, later in pairwise(powers_w[-needed:]))
        and all(
            _agree(mhz, earlier.get(board, mhz))
            for earlier, later in pairwise(clocks[-needed:])
            for board, mhz in later.items()
        )
    )


def _agree(later: float, earlier: float) -> bool:
    return abs(later - earlier) <= TOLERANCE * later
