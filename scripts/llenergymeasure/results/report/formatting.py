"""Numbers as people read them: as many digits as the interval allows, an SI prefix for a whole column."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.statistics.estimates import Estimate

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_SHORT = {"bytes": "B"}
# Sums and quotients of doubles (2⁻⁵³ each, relative) differ by less than this where the figures are the same.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Scale:
    """How a column is shown: figures are divided by `divisor`; `unit` is the unit of the result."""

    divisor: float
    unit: str

    def value(self, value: float, digits: int = 3) -> str:
        return significant(value / self.divisor, digits)

    def estimate(self, estimate: Estimate) -> tuple[str, str | None]:
        """Mean and half width of the interval: as many places as the half width has at two digits.

        The mean gets four digits at most, so that a very narrow interval does not fill a table with digits.
        """
        assert estimate.mean is not None
        mean, half = estimate.mean / self.divisor, estimate.half_width
        if half is None:
            return significant(mean), None
        if half <= ROUNDING * abs(estimate.mean):
            return significant(mean, 4), "0"
        half /= self.divisor
        # An interval wider than the figure itself needs no more digits than the figure.
        places = 1 - _exponent(min(half, abs(mean)) if mean else half)
        if mean:
            places = min(places, 3 - _exponent(mean))
        wide_enough = half >= 10.0**-places
        return rounded(mean, places), rounded(half, places) if wide_enough else significant(half, 1)


def choose_scale(metric: str, values: Iterable[float | None]) -> Scale:
    """The prefix that suits the median of the known values of a metric."""
    declared = METRICS[metric]
    if declared.symbol is None:
        return Scale(1.0, declared.unit)
    scale = unit_scale(declared.symbol, values)
    return Scale(scale.divisor, declared.unit.replace(declared.symbol, scale.unit, 1))


def unit_scale(symbol: str, values: Iterable[float | None]) -> Scale:
    """A prefix for one of the plain units: s, J, W, bytes. Minutes and hours stay seconds."""
    known = sorted(abs(value) for value in values if value)
    middle = known[len(known) // 2] if known else 1.0
    largest = 1.0 if symbol == "s" else 1e12
    fitting = (item for item in _PREFIXES if item[0] <= largest and middle >= item[0] * 0.9995)
    divisor, prefix = next(fitting, _PREFIXES[-1])
    if symbol == "bytes" and divisor < 1:
        divisor, prefix = 1.0, ""
    return Scale(divisor, prefix + _SHORT.get(symbol, symbol))


def significant(value: float, digits: int = 3) -> str:
    """Rounded to `digits` significant digits, without an exponent where that is readable."""
    if value == 0:
        return "0"
    exponent = _exponent(float(f"{value:.{digits - 1}e}"))
    if not -5 <= exponent < 9:
        return f"{value:.{digits - 1}e}"
    return rounded(value, digits - 1 - exponent)


def rounded(value: float, places: int) -> str:
    """Rounded to `places` decimal places; a negative number rounds to tens, hundreds and so on."""
    if places <= 0:
        return f"{round(value, places):,.0f}".replace(",", " ")
    return f"{value:,.{places}f}".replace(",", " ")


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def percent(value: float) -> str:
    return f"{significant(100 * value, 2)} %"


def describe_interval(estimate: Estimate, scale: Scale) -> str:
    """`95 % interval 50.8 to 53.4, n = 3`."""
    if estimate.low is None or estimate.high is None:
        return "one replicate, no interval" if estimate.n < 2 else f"an estimate, n = {estimate.n}"
    return f"95 % interval {scale.value(estimate.low)} to {scale.value(estimate.high)}, n = {estimate.n}"


def describe_estimate(estimate: Estimate, scale: Scale) -> str:
    """`52.1 output tokens/s, 95 % interval 50.8 to 53.4, n = 3`."""
    if estimate.mean is None:
        return "unknown"
    return f"{scale.value(estimate.mean)} {scale.unit}, {describe_interval(estimate, scale)}"
