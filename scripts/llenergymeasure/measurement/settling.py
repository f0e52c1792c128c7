"""Waiting until idle power has come down: clocks, voltage and temperature follow the end of a load with a delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

PHASE = "settling"
STEP_S = 1.0
# Two successive steps whose mean powers differ by no more than this share have settled.
TOLERANCE = 0.02
# So many steps are waited at most: a board needs a few seconds, and a machine that others use never settles.
MOST_STEPS = 20
NOTHING_MEASURED = "no meter here measures power"


@dataclass(frozen=True)
class Settling:
    """How power came to rest before an idle window.

    settled: None where nothing measures power, for `reason`; False where it still varied when waiting was given up
    waited_s: from the first step to the idle window; powers_w: mean power of each step
    """

    settled: bool | None
    waited_s: float
    powers_w: tuple[float, ...]
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "powers_w": list(self.powers_w), "tolerance": TOLERANCE}


UNMEASURED = Settling(None, 0.0, (), NOTHING_MEASURED)


def settle(mean_power_w: Callable[[], float | None], now_s: Callable[[], float]) -> Settling:
    """Wait until two successive steps agree.

    mean_power_w: waits for one step and returns its mean power, None where no meter measured it
    now_s: the meters' clock; it decides nothing, because several processes have to do the same number of steps
    """
    begun_s = now_s()
    powers_w: list[float] = []
    for _ in range(MOST_STEPS):
        power_w = mean_power_w()
        if power_w is None:
            return Settling(None, now_s() - begun_s, tuple(powers_w), NOTHING_MEASURED)
        powers_w.append(power_w)
        if len(powers_w) > 1 and abs(powers_w[-1] - powers_w[-2]) <= TOLERANCE * powers_w[-1]:
            return Settling(True, now_s() - begun_s, tuple(powers_w))
    return Settling(False, now_s() - begun_s, tuple(powers_w))
