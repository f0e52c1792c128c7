"""How much more power the same work takes on a warmer board: estimated from the warm-up itself."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llenergymeasure.measurement.warmth.warming import Warming

# Passes are put together to pieces of this length: a power reading may be an average over a second.
PIECE_S = 1.0
# Below this range of temperatures, and with fewer pieces, a slope would be that of the noise.
LEAST_RANGE_C, LEAST_PIECES = 3.0, 6


@dataclass(frozen=True)
class PowerSlope:
    """Watts per °C, and the standard uncertainty of that figure."""

    per_c_w: float
    standard_w: float


def power_slope(warming: Warming, trace: Sequence[Mapping[str, Any]]) -> PowerSlope | None:
    """The slope of power against temperature over the passes of a warm-up, by least squares.

    trace: rows with `monotonic_s`, `device`, `power_w`, `temperature_c`, on the clock of the warm-up

    Power is the energy of a pass over the mean time of a pass, so that a board whose clocks fall as it warms up counts
    as well: there a pass takes longer. Only passes count whose latencies were already flat, and only boards that tell
    their temperature. None where the warm-up gives no slope: fewer than six pieces of a second, or a range below 3 °C.
    """
    rows = [row for row in trace if row["temperature_c"] is not None and row["power_w"] is not None]
    pieces = _pieces(warming, rows)
    temperatures = [temperature_c for temperature_c, _ in pieces]
    if len(pieces) < LEAST_PIECES or max(temperatures) - min(temperatures) < LEAST_RANGE_C:
        return None
    powers = [power_w for _, power_w in pieces]
    slope, intercept = statistics.linear_regression(temperatures, powers)
    residual = math.fsum((power - intercept - slope * at) ** 2 for at, power in pieces) / (len(pieces) - 2)
    middle = statistics.fmean(temperatures)
    standard = math.sqrt(residual / math.fsum((at - middle) ** 2 for at in temperatures))
    return PowerSlope(slope, standard)


def _pieces(warming: Warming, rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Temperature and power of each piece of whole passes that lasts a second at least."""
    first = max(1, warming.steady_passes - 1)
    ends = [warming.begun_s + elapsed for elapsed in warming.elapsed_s]
    if len(ends) <= first + 1:
        return []
    mean_pass_s = (ends[-1] - ends[first - 1]) / (len(ends) - first)
    pieces = []
    begun, remaining = first - 1, sorted(rows, key=lambda row: float(row["monotonic_s"]))
    place = 0
    for end in range(first, len(ends)):
        if ends[end] - ends[begun] < PIECE_S:
            continue
        while place < len(remaining) and remaining[place]["monotonic_s"] <= ends[begun]:
            place += 1
        inside = place
        while inside < len(remaining) and remaining[inside]["monotonic_s"] <= ends[end]:
            inside += 1
        piece = remaining[place:inside]
        if piece:
            stretched = (ends[end] - ends[begun]) / (end - begun) / mean_pass_s
            temperature_c = statistics.fmean(float(row["temperature_c"]) for row in piece)
            pieces.append((temperature_c, _power_w(piece) * stretched))
        begun, place = end, inside
    return pieces


def _power_w(rows: Sequence[Mapping[str, Any]]) -> float:
    """Mean power of all boards together."""
    by_board: dict[str, list[float]] = {}
    for row in rows:
        by_board.setdefault(row["device"], []).append(float(row["power_w"]))
    return math.fsum(statistics.fmean(powers) for powers in by_board.values())
