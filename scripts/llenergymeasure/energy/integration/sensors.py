"""What is known about the power sensors of NVIDIA boards, by family, with the source of each figure."""

from __future__ import annotations

from dataclasses import dataclass, replace

YANG = 'Yang, Adamek, Armour, "Accurate and Convenient Energy Measurements for GPUs", SC\'24, arXiv 2312.02741'

# One update period of the slowest counter seen, 100 ms: a board that publishes an update late does so by the next one.
UNKNOWN_LAG_S = 0.1


@dataclass(frozen=True)
class Family:
    """The sensor of a family of boards.

    seen_share: of each update period, the share in which the sensor looks at the power
    gain_bound: the largest relative error of a board, constant for the board; a bound, hence rectangular
    lag_bound_s: the longest time after its end at which an update period is published; an assumption, since nobody
        published it of any board
    """

    name: str
    seen_share: float
    gain_bound: float
    source: str
    lag_bound_s: float = UNKNOWN_LAG_S


@dataclass(frozen=True)
class PartTime:
    """A sensor that sees a share of each period, of a device in one window.

    period_s: between updates
    regular: the pieces of its trace are whole periods, so that it can be worked out when it looked
    """

    period_s: float
    seen_share: float
    lag_bound_s: float
    regular: bool


# The longer names first: "GH200" is not an "H200", and a board belongs to the first family whose name it bears.
FAMILIES = (
    Family("GH200", 20 / 100, 0.05, YANG),
    Family("A100", 25 / 100, 0.05, YANG),
    Family("H100", 25 / 100, 0.05, YANG),
    Family("V100", 10 / 20, 0.05, YANG),
)

# Boards that nobody published the sensor of, by the board with the same die.
SAME_DIE = {"H200": "H100", "H800": "H100", "A800": "A100", "A30": "A100"}

UNKNOWN = Family(
    "unknown",
    min(family.seen_share for family in FAMILIES),
    max(family.gain_bound for family in FAMILIES),
    f"nobody published this board's sensor; the worst of {', '.join(family.name for family in FAMILIES)} ({YANG})",
)

# NVML's reference manual on nvmlDeviceGetPowerUsage: averaged over 1 s on Ampere, except GA100, and newer;
# instantaneous on GA100 and older.
AVERAGING_S = 1.0
GA100 = ("A100", "A800", "A30")
# Boards whose module carries a CPU too; NVML's manual does not say which of the two the energy counter covers.
SUPERCHIPS = ("GH200", "GB200", "GB300", "GB10", "Grace")


def family_from_name(board_name: str) -> Family:
    """The family a board belongs to by its name, else `UNKNOWN`."""
    words = _words(board_name)
    named = next((family for family in FAMILIES if family.name in words), None)
    if named is not None:
        return named
    twin = next((name for name in SAME_DIE if name in words), None)
    if twin is None:
        return UNKNOWN
    same = family_from_name(SAME_DIE[twin])
    return replace(same, name=twin, source=f"taken from the {same.name}, which has the same die: {same.source}")


def is_ga100(board_name: str) -> bool:
    return any(name in _words(board_name) for name in GA100)


def is_superchip(board_name: str) -> bool:
    return any(name in _words(board_name) for name in SUPERCHIPS)


def _words(board_name: str) -> list[str]:
    """`NVIDIA A100-SXM4-80GB` is an A100 and `NVIDIA GH200 480GB` is not an H200."""
    return board_name.replace("-", " ").replace("_", " ").split()
