"""Sums of squares of a split-plot study on logarithms, by strata; figures may be missing.

Henderson's method 3: experiments first, then blocks (where the study ran in blocks), then processes. The coefficient of
σ_p² in the expectation of a sum of squares is the trace that goes with it, so missing figures need no filling in
(Searle, Casella & McCulloch, *Variance Components*, ch. 5).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Values = Mapping[str, Mapping[int, float]]
"""experiment → replicate → a positive figure"""


@dataclass(frozen=True)
class Part:
    """A sum of squares that belongs to one experiment or one session.

    expected: coefficients of (σ_ε², σ_p²) in its expectation
    df: degrees of freedom of its distribution where all of the study scatters alike
    """

    sum: float
    expected: tuple[float, float]
    df: int


@dataclass(frozen=True)
class Stratum:
    """sum: of squares; size: coefficient of the stratum's own variance in its expectation"""

    sum: float
    df: int
    size: float


@dataclass(frozen=True)
class Sums:
    """between: among processes of a session; within: what remains; blocks: among replicates of the whole study, None
    where it was not fitted, and then it is in `between`

    experiments, sessions: the parts of `within` and of `between`
    """

    between: Stratum
    within: Stratum
    blocks: Stratum | None
    experiments: Mapping[str, Part]
    sessions: Mapping[str, Part]


@dataclass(frozen=True)
class SessionFit:
    """One session after its experiments' means.

    centred: logarithms less the mean of their experiment, one per figure
    inside: inner products of the replicates' columns, centred in the same way; replicates × replicates
    onto: inner products of these columns with `centred`
    remainder: sum of squares after experiments and processes, with its df
    """

    centred_sum: float
    inside: Floats
    onto: Floats
    remainder: float
    remainder_df: int
    experiments: Mapping[str, Part]


def fit_session(session: Values, replicates: Sequence[int]) -> SessionFit:
    """replicates: all of the study, in order"""
    names = list(session)
    columns = {replicate: column for column, replicate in enumerate(replicates)}
    rows = np.array([row for row, name in enumerate(names) for _ in session[name]])
    places = np.array([columns[replicate] for name in names for replicate in session[name]])
    logs = np.array([math.log(value) for name in names for value in session[name].values()])
    counts = np.bincount(rows, minlength=len(names))
    centred = logs - (np.bincount(rows, logs, len(names)) / counts)[rows]
    indicators = np.zeros((len(rows), len(replicates)))
    indicators[np.arange(len(rows)), places] = 1.0
    means = np.zeros((len(names), len(replicates)))
    np.add.at(means, (rows, places), 1.0)
    indicators -= (means / counts[:, None])[rows]
    inside, onto = indicators.T @ indicators, indicators.T @ centred
    basis = _basis(indicators)
    residuals = centred - basis @ (basis.T @ centred)
    leverages = 1 / counts[rows] + np.sum(basis**2, axis=1)
    squares = np.bincount(rows, residuals**2, len(names))
    free = np.bincount(rows, 1 - leverages, len(names))
    df = len(rows) - len(names) - basis.shape[1]
    return SessionFit(
        float(centred @ centred),
        inside,
        onto,
        float(residuals @ residuals) if df else 0.0,
        df,
        {
            name: Part(float(squares[row]), (float(free[row]), 0.0), int(counts[row]) - 1)
            for row, name in enumerate(names)
            if df and free[row] > 1e-9
        },
    )


def sums_of_squares(fits: Mapping[str, SessionFit], blocked: bool) -> Sums:
    """Of all sessions together; blocked: replicates are blocks of the study, which are taken out of `between`."""
    inside, onto = _total([fit.inside for fit in fits.values()]), _total([fit.onto for fit in fits.values()])
    inverse = np.linalg.pinv(inside, rcond=1e-10, hermitian=True)
    effects = inverse @ onto if blocked else np.zeros_like(onto)
    rank = int(np.linalg.matrix_rank(inside, tol=1e-9, hermitian=True)) if blocked else 0
    sessions, between, between_df, size = {}, 0.0, -rank, 0.0
    for name, fit in fits.items():
        after = fit.centred_sum - 2 * effects @ fit.onto + effects @ fit.inside @ effects
        own_rank = int(np.linalg.matrix_rank(fit.inside, tol=1e-9, hermitian=True))
        taken = fit.inside @ inverse if blocked else np.zeros_like(fit.inside)
        coefficient = float(np.trace(fit.inside) - np.trace(taken @ fit.inside))
        part = max(0.0, float(after) - fit.remainder)
        between, between_df, size = between + part, between_df + own_rank, size + coefficient
        free = own_rank - float(np.trace(taken))
        if own_rank and coefficient > 1e-9:
            sessions[name] = Part(part, (free, coefficient), own_rank)
    within = Stratum(
        math.fsum(fit.remainder for fit in fits.values()), sum(fit.remainder_df for fit in fits.values()), 0.0
    )
    experiments = {name: part for fit in fits.values() for name, part in fit.experiments.items()}
    blocks = Stratum(max(0.0, float(effects @ onto)), rank, float(np.trace(inside))) if blocked else None
    return Sums(Stratum(between, between_df, size), within, blocks, experiments, sessions)


def _basis(columns: Floats) -> Floats:
    """Orthonormal columns that span the same."""
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, singular > 1e-9 * max(1.0, float(singular.max(initial=0.0)))]


def _total(arrays: Sequence[Floats]) -> Floats:
    return np.sum(arrays, axis=0)
