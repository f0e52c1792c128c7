"""What counts as the same figure in two measurements of a study, and the answers that there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Answer = Literal["same", "different", "not known"]
SAME, DIFFERENT, NOT_KNOWN = ANSWERS = get_args(Answer)


@dataclass(frozen=True)
class Equivalence:
    """margin: the smallest relative difference that matters; day_sd: relative standard deviation from day to day, which
    is assumed, because two days do not show it
    """

    margin: float = 0.02
    day_sd: float = 0.005
