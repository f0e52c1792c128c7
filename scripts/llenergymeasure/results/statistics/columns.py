"""Figures of many experiments at once: a column of runs in, a column of experiments out. Unknown values are NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from llenergymeasure.results.statistics.estimates import CONFIDENCE
from llenergymeasure.results.statistics.strata.sums_of_squares import Floats

Counts = NDArray[np.int64]
NORMAL_95 = 1.959964
HALVINGS = 60


@dataclass(frozen=True)
class Estimates:
    """`statistics.Estimate` of every experiment."""

    n: Counts
    mean: Floats
    low: Floats
    high: Floats


class Groups:
    """The runs of each of `names`, in the order of `names`."""

    def __init__(self, names: Sequence[str], owners: pd.Series[Any]) -> None:
        places = {name: place for place, name in enumerate(names)}
        self.size = len(names)
        self.codes: Counts = np.fromiter((places[name] for name in owners), dtype=np.int64, count=len(owners))

    def count(self, chosen: NDArray[np.bool_] | None = None) -> Counts:
        """How many runs each has, or how many of them are chosen."""
        codes = self.codes if chosen is None else self.codes[chosen]
        return np.bincount(codes, minlength=self.size)

    def total(self, values: Floats) -> Floats:
        return np.bincount(self.codes, weights=values, minlength=self.size).astype(np.float64)

    def estimates(self, values: Floats, level: float = CONFIDENCE) -> Estimates:
        """Mean and Student's t interval over the finite values, as `statistics.estimate`."""
        n, mean, variance = self.moments(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            half = _critical(n, level) * np.sqrt(variance / n)
        return Estimates(n, mean, mean - half, mean + half)

    def moments(self, values: Floats) -> tuple[Counts, Floats, Floats]:
        """Number, mean and sample variance of the finite values; NaN where there are too few."""
        finite = np.isfinite(values)
        codes, known = self.codes[finite], values[finite]
        n = np.bincount(codes, minlength=self.size)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.bincount(codes, weights=known, minlength=self.size) / n
            squares = np.bincount(codes, weights=(known - mean[codes]) ** 2, minlength=self.size)
            variance = np.where(n > 1, squares / (n - 1), np.nan)
        return n, mean, variance

    def smallest(self, values: Floats) -> Floats:
        """NaN where no value is known."""
        smallest = np.full(self.size, np.inf)
        np.fmin.at(smallest, self.codes, values)
        return np.where(np.isinf(smallest), np.nan, smallest)

    def largest(self, values: Floats) -> Floats:
        return -self.smallest(-values)

    def only(self, texts: pd.Series[Any]) -> tuple[list[str | None], Counts]:
        """The only text of each, None where there are none or several; and how many different texts there are."""
        known = texts.notna().to_numpy()
        pairs = pd.DataFrame({"code": self.codes[known], "text": texts[known].to_numpy()}).drop_duplicates()
        different = np.bincount(pairs["code"], minlength=self.size)
        single: list[str | None] = [None] * self.size
        for code, text in zip(pairs["code"], pairs["text"], strict=True):
            if different[code] == 1:
                single[code] = str(text)
        return single, different


def expanded_of_means(
    groups: Groups, values: Floats, random: Floats, gain: Floats, other_gains: Floats, level: float
) -> Floats:
    """`instrument.expanded_of_mean` of every experiment's runs that have a figure; NaN where none is stated."""
    chosen = np.isfinite(values)
    stated = groups.count(chosen & np.isfinite(random) & np.isfinite(gain))
    values, random, gain, other_gains = (
        np.where(chosen, column, np.nan) for column in (values, random, gain, other_gains)
    )
    n, _, variance = groups.moments(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = NORMAL_95 * np.sqrt(groups.total(np.nan_to_num(random) ** 2)) / n
        scatter = _critical(n, level) * np.sqrt(variance / n)
        half = np.fmax(half, scatter)
        box = np.sqrt(3) * groups.total(np.nan_to_num(gain)) / n
        normal = np.hypot(half / NORMAL_95, groups.total(np.nan_to_num(other_gains)) / n)
    expanded = np.full(groups.size, np.nan)
    known = (n > 1) & (stated == n)
    expanded[known] = expanded_all(box[known], normal[known])
    return expanded


def expanded_all(box: Floats, sigma: Floats, level: float = CONFIDENCE) -> Floats:
    """`energy.uncertainty.expanded_from_parts` of whole columns, by the same bisection."""
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = np.zeros_like(box), box + 10 * sigma
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = _coverage(middle, box, sigma) < level
            low, high = np.where(below, middle, low), np.where(below, high, middle)
    expanded = (low + high) / 2
    expanded = np.where(sigma < 1e-9 * box, level * box, expanded)
    return np.where(box == 0, float(stats.norm.ppf((1 + level) / 2)) * sigma, expanded)


def _coverage(bound: Floats, half_width: Floats, sigma: Floats) -> Floats:
    """P(|R + N| ≤ bound) with R rectangular on ±half_width and N normal: the integral of Φ is xΦ(x) + φ(x)."""

    def integral(x: Floats) -> Floats:
        values: Floats = x * special.ndtr(x) + np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
        return values

    above = integral((bound + half_width) / sigma) - integral((bound - half_width) / sigma)
    below = integral((-bound + half_width) / sigma) - integral((-bound - half_width) / sigma)
    return sigma / (2 * half_width) * (above - below)


def _critical(n: Counts, level: float) -> Floats:
    """Student's quantile for n − 1 degrees of freedom; NaN below two values."""
    critical = np.full(len(n), np.nan)
    for count in np.unique(n[n > 1]):
        critical[n == count] = stats.t.ppf((1 + level) / 2, count - 1)
    return critical
