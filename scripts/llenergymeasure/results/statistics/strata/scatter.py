"""Which experiments and sessions scatter more than the others, so that a variance of all does not describe them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scipy import stats

from llenergymeasure.results.statistics.strata.sums_of_squares import (
    Part,
    SessionFit,
    Stratum,
    Sums,
    Values,
    fit_session,
    sums_of_squares,
)
from llenergymeasure.results.statistics.strata.variances import Variances, variances_from_sums

# A preliminary test decides between two analyses, so it is made at a high level (Bozivich, Bancroft & Hartley 1956,
# Annals of Mathematical Statistics 27): this over the degrees of freedom, because with few of them threefold scatter
# would often pass; and not above `HIGHEST`.
PRELIMINARY, HIGHEST = 0.9, 0.45
# Of an outlying variance, for all of a study at once: the level of Cochran's test in ISO 5725-2.
OUTLYING = 0.01
# Beyond it a ratio of mean squares says only that the others hardly scatter.
LARGEST = 1e6


@dataclass(frozen=True)
class Alone:
    """The remainder of a session that is larger than the others': its mean square, its degrees of freedom, and how many
    times larger it is."""

    residual: float
    df: int
    ratio: float


@dataclass(frozen=True)
class Scatter:
    """variances: of what scatters alike; None where nothing was repeated

    experiments, sessions: those that scatter more, whose comparisons rest on their own differences → how many times
        larger their mean square is than the others'
    alone: sessions inside which all experiments scatter more than elsewhere
    """

    variances: Variances | None
    experiments: Mapping[str, float] = field(default_factory=dict)
    sessions: Mapping[str, float] = field(default_factory=dict)
    alone: Mapping[str, Alone] = field(default_factory=dict)

    def residual(self, session: str) -> tuple[float, float]:
        """σ_ε² inside a session, and its degrees of freedom."""
        assert self.variances is not None
        if session in self.alone:
            return self.alone[session].residual, float(self.alone[session].df)
        return self.variances.residual, float(self.variances.within_df)


def find_scatter(sessions: Mapping[str, Values], blocked: bool) -> Scatter:
    """sessions: session → experiment → replicate → figure; blocked: the study was run in blocks

    An experiment or a session is left out of the pooled variances where its own is larger at level `OUTLYING` (Cochran
    1941, Annals of Eugenics 11), the others first left in; so one disturbed replicate does not decide all comparisons.
    It counts as one that scatters more from level `PRELIMINARY` on.
    """
    replicates = sorted({replicate for values in sessions.values() for one in values.values() for replicate in one})
    pooled = {name: dict(values) for name, values in sessions.items()}
    fits = {name: fit_session(values, replicates) for name, values in pooled.items()}
    experiments: dict[str, float] = {}
    apart: dict[str, float] = {}
    inside: dict[str, float] = {}
    while True:
        sums = _pooled_sums(fits, blocked, apart, inside)
        variances = variances_from_sums(sums)
        if variances is None:
            return Scatter(None)
        alike = {name: fit for name, fit in fits.items() if name not in inside}
        # Of one kind at a time, since what is left out changes what the others are compared with.
        if outlying := _larger_inside(alike, OUTLYING):
            inside |= outlying
        elif noisy := _without(_larger(_parts(sums.experiments), OUTLYING), experiments):
            experiments |= noisy
            _leave_out(noisy, pooled, fits, replicates)
        elif outlying := _without(_larger_sessions(sums, variances, OUTLYING), apart):
            apart |= outlying
        else:
            break
    inside |= _larger_inside(alike, None)
    for members in (*([fits[name].experiments] for name in inside), [fit.experiments for fit in alike.values()]):
        experiments |= _larger(_parts({name: part for parts in members for name, part in parts.items()}), None)
    return Scatter(
        variances,
        experiments,
        inside | apart | _larger_sessions(sums, variances, None),
        {
            name: Alone(fits[name].remainder / fits[name].remainder_df, fits[name].remainder_df, ratio)
            for name, ratio in inside.items()
            if fits[name].remainder_df
        },
    )


def _pooled_sums(
    fits: Mapping[str, SessionFit], blocked: bool, apart: Collection[str], inside: Collection[str]
) -> Sums:
    """Of the sessions that scatter alike, between processes and inside them.

    apart, inside: those that scatter more between processes, and inside them. Blocks and processes cannot be told apart
    in a single session, so where too few would be left, all are in `between`.
    """
    kept = {name: fit for name, fit in fits.items() if name not in apart and name not in inside}
    sums = sums_of_squares(kept if len(kept) >= (2 if blocked else 1) else fits, blocked)
    alike = [fit for name, fit in fits.items() if name not in inside]
    within = Stratum(math.fsum(fit.remainder for fit in alike), sum(fit.remainder_df for fit in alike), 0.0)
    return replace(
        sums, within=within, experiments={name: part for fit in alike for name, part in fit.experiments.items()}
    )


def _leave_out(
    noisy: Collection[str],
    pooled: dict[str, dict[str, Mapping[int, float]]],
    fits: dict[str, SessionFit],
    replicates: Sequence[int],
) -> None:
    """Fit the sessions again without these experiments; a session of which none would be left stays as it is."""
    for session, values in pooled.items():
        left = {name: figures for name, figures in values.items() if name not in noisy}
        if left and len(left) < len(values):
            pooled[session], fits[session] = left, fit_session(left, replicates)


def _without(larger: Mapping[str, float], known: Collection[str]) -> dict[str, float]:
    return {name: ratio for name, ratio in larger.items() if name not in known}


def _larger_inside(fits: Mapping[str, SessionFit], level: float | None) -> dict[str, float]:
    """Sessions whose remainder, after experiments and processes, is larger than that of the others."""
    parts = {
        name: _Own(fit.remainder, float(fit.remainder_df), fit.remainder_df)
        for name, fit in fits.items()
        if fit.remainder_df
    }
    return _larger(parts, level)


def _parts(experiments: Mapping[str, Part]) -> dict[str, _Own]:
    return {name: _Own(part.sum, part.expected[0], part.df) for name, part in experiments.items()}


def _larger_sessions(sums: Sums, variances: Variances, level: float | None) -> dict[str, float]:
    """Those whose processes differ more. Each is judged by its expectation, which its number of experiments decides."""
    parts = {}
    for name, part in sums.sessions.items():
        free, coefficient = part.expected
        expected = free * variances.residual + coefficient * variances.process
        if free > 1e-9 and expected > 0:
            parts[name] = _Own(part.sum * free / expected, free, part.df)
    return _larger(parts, level)


@dataclass(frozen=True)
class _Own:
    """free: its expectation over the variance that is the same for all; df: of its distribution"""

    sum: float
    free: float
    df: int


def _larger(parts: Mapping[str, _Own], level: float | None) -> dict[str, float]:
    """Those whose mean square is significantly larger than that of all others → how many times."""
    whole, free = math.fsum(part.sum for part in parts.values()), math.fsum(part.free for part in parts.values())
    ratios = {}
    for name, part in parts.items():
        others, others_df = max(0.0, whole - part.sum), free - part.free
        if others_df >= 1 - 1e-9 and part.sum > 1e-12 * whole:
            alike = others <= 1e-12 * whole
            ratios[name] = math.inf if alike else (part.sum / part.free) / (others / others_df)
    degrees = [parts[name].df for name in ratios]
    # All at once: the distribution takes as long for one figure as for a thousand.
    chances = stats.f.sf([*ratios.values()], degrees, [free - parts[name].free for name in ratios])
    needed = [min(HIGHEST, PRELIMINARY / df) if level is None else level / len(parts) for df in degrees]
    return {
        name: min(ratio, LARGEST)
        for (name, ratio), chance, most in zip(ratios.items(), chances, needed, strict=True)
        if chance <= most
    }
