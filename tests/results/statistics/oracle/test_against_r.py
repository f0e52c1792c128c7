"""The split-plot analysis against R's lme4, lmerTest, emmeans and multcomp, on ten data sets.

What R says is stored (`reference.json`); the slow test asks R again where it is installed.

Balanced data: mean squares and REML give the same variances, errors and degrees of freedom, so the two must agree up
to the optimizer of lmer (1e-6) and the numerical derivatives of lmerTest (1e-4 of the degrees of freedom).

Unbalanced data: Henderson's method 3 is not REML. There the sums of squares and their coefficients are compared, which
are exact (R gets the coefficients by synthesis), and the differences with R's paired t test and Welch's, which use the
same figures. REML's weighted differences use all figures, so their errors are smaller, by `UNBALANCED_ERROR` at most.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from results.statistics.oracle.data_sets import BALANCED, FOLDER, UNBALANCED, read_sessions, write_data_sets

from llenergymeasure.results.statistics.comparisons.simultaneous import comparisons_to
from llenergymeasure.results.statistics.split_plot import Difference, SplitPlot, analyse
from llenergymeasure.results.statistics.strata.scatter import Scatter
from llenergymeasure.results.statistics.strata.sums_of_squares import Sums, fit_session, sums_of_squares
from llenergymeasure.results.statistics.strata.variances import critical_t, variances_from_sums

HERE = Path(__file__).parent
SCRIPT, STORED = HERE / "reference.R", HERE / "reference.json"
R_SAYS: Mapping[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))["data_sets"]
REFERENCE = "0.0"
EXACT, OPTIMIZED, DERIVED = 1e-9, 1e-6, 1e-4
# Tolerance of a difference's standard error where figures are missing: REML and mean squares differ.
UNBALANCED_ERROR = 0.25
# Tolerance of a critical value: three standard deviations of a quantile of 10,000 draws, and R's own integration.
DRAWN = 0.03
# The same where errors inside and between processes are mixed: R studentises all by one error, we each by its own.
MIXED = 0.07


# The model without blocks, and with replicates as blocks where there are several sessions.
MODELS = {"plain": False, "blocks": True}
CASES = [(name, model) for name, said in R_SAYS.items() for model in MODELS if model in said]
BALANCED_CASES = [(name, model) for name, model in CASES if name in BALANCED]
UNBALANCED_CASES = [(name, model) for name, model in CASES if name in UNBALANCED]


def _sums(name: str, model: str) -> Sums:
    sessions = read_sessions(name)
    replicates = sorted({replicate for values in sessions.values() for one in values.values() for replicate in one})
    fits = {session: fit_session(values, replicates) for session, values in sessions.items()}
    return sums_of_squares(fits, MODELS[model])


def _analysis(name: str, model: str) -> SplitPlot:
    sessions = read_sessions(name)
    values = {experiment: figures for one in sessions.values() for experiment, figures in one.items()}
    session_ids = {experiment: session for session, one in sessions.items() for experiment in one}
    return analyse(values, session_ids, blocked=MODELS[model])


def _pooled(name: str, model: str) -> SplitPlot:
    """With one variance for all experiments, as R's models have, even where some seem to scatter more."""
    return replace(_analysis(name, model), scatter=Scatter(variances_from_sums(_sums(name, model))))


def _differences(analysis: SplitPlot, names: Iterable[str]) -> dict[str, Difference]:
    """Each of these experiments against the reference."""
    differences = {name: analysis.difference(name, REFERENCE) for name in names}
    return {name: difference for name, difference in differences.items() if difference is not None}


def _of_two(name: str, model: str, difference: Difference) -> Mapping[str, float]:
    """R's t test of these two experiments alone: by pairs where they share processes or blocks, else Welch's."""
    rows = R_SAYS[name]["paired" if difference.same_session or MODELS[model] else "welch"]
    said: Mapping[str, float] = next(row for row in rows if row["experiment"] == difference.one)
    return said


def test_there_are_ten_data_sets() -> None:
    assert set(R_SAYS) == {*BALANCED, *UNBALANCED} and len(R_SAYS) == 10


def test_the_data_sets_are_those_of_the_generator(tmp_path: Path) -> None:
    write_data_sets(tmp_path)
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.csv")}


@pytest.mark.parametrize(("name", "model"), CASES)
def test_sums_of_squares_are_those_of_anova(name: str, model: str) -> None:
    sums, said = _sums(name, model), R_SAYS[name][model]["henderson"]
    error = sums.between
    if "process_ss" in said:
        ours = (sums.between.sum, sums.between.df, sums.between.size)
        assert ours == pytest.approx((said["process_ss"], said["process_df"], said["coefficient"]), rel=EXACT)
        error = sums.within
    # A process that holds one experiment is its error.
    assert (error.sum, error.df) == pytest.approx((said["residual_ss"], said["residual_df"]), rel=EXACT)


@pytest.mark.parametrize(("name", "model"), BALANCED_CASES)
def test_balanced_variances_are_those_of_reml(name: str, model: str) -> None:
    variances, said = variances_from_sums(_sums(name, model)), R_SAYS[name][model]["variances"]
    assert variances is not None
    if said["process"] is None:
        assert variances.process == pytest.approx(said["residual"], rel=OPTIMIZED)
    else:
        assert variances.process > 0
        ours = (variances.process, variances.residual)
        assert ours == pytest.approx((said["process"], said["residual"]), rel=OPTIMIZED)


@pytest.mark.parametrize(("name", "model"), BALANCED_CASES)
def test_balanced_differences_are_those_of_lmertest(name: str, model: str) -> None:
    rows = {row["experiment"]: row for row in R_SAYS[name][model]["differences"]}
    differences = _differences(_pooled(name, model), rows)
    assert differences.keys() == rows.keys()
    for one, difference in differences.items():
        assert difference.value == pytest.approx(rows[one]["difference"], abs=EXACT)
        assert difference.standard_error == pytest.approx(rows[one]["standard_error"], rel=OPTIMIZED)
        assert difference.df == pytest.approx(rows[one]["df"], rel=DERIVED)


@pytest.mark.parametrize(("name", "model"), UNBALANCED_CASES)
def test_unbalanced_differences_use_what_both_have_with_nearly_remls_errors(name: str, model: str) -> None:
    rows = {row["experiment"]: row for row in R_SAYS[name][model]["differences"]}
    differences = _differences(_pooled(name, model), rows)
    assert differences.keys() == rows.keys()
    for one, difference in differences.items():
        assert difference.value == pytest.approx(_of_two(name, model, difference)["difference"], abs=EXACT)
        error, least = difference.standard_error, rows[one]["standard_error"]
        assert least * (1 - OPTIMIZED) <= error <= least * (1 + UNBALANCED_ERROR)
        # The variance of the difference between two estimates is that of their variances (Hausman 1978, Econometrica).
        allowed = 3 * math.sqrt(max(0.0, error**2 - least**2)) + OPTIMIZED
        assert difference.value == pytest.approx(rows[one]["difference"], abs=allowed)


def test_differences_of_experiments_that_scatter_more_are_those_of_r_for_these_two_alone() -> None:
    compared = 0
    for name, model in CASES:
        names = [row["experiment"] for row in R_SAYS[name][model]["differences"]]
        for difference in _differences(_analysis(name, model), names).values():
            if difference.own:
                said = _of_two(name, model, difference)
                ours = (difference.value, difference.standard_error, difference.df)
                assert ours == pytest.approx((said["difference"], said["standard_error"], said["df"]), rel=EXACT)
                compared += 1
    assert compared > 5


@pytest.mark.parametrize(("name", "model"), CASES)
def test_critical_values_are_those_of_the_multivariate_t(name: str, model: str) -> None:
    analysis, said = _pooled(name, model), R_SAYS[name][model]["simultaneous"]
    comparisons = comparisons_to(analysis, REFERENCE, [one for one in analysis.values if one != REFERENCE])
    assert comparisons is not None
    dfs = {round(difference.df, 6) for difference in comparisons.differences}
    # The multivariate t has one number of degrees of freedom for all, a whole one.
    critical = critical_t(said["df"], comparisons.single_level)
    assert critical == pytest.approx(said["critical"], rel=DRAWN if len(dfs) == 1 else MIXED)


@pytest.mark.slow
def test_r_still_says_what_is_stored() -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed: Rscript is not on PATH")
    call = subprocess.run(
        ["Rscript", str(SCRIPT), str(FOLDER)], capture_output=True, text=True, timeout=500, check=False
    )
    if call.returncode and "there is no package called" in call.stderr:
        pytest.skip(f"R lacks a package: {call.stderr.strip()}")
    assert call.returncode == 0, call.stderr
    said = json.loads(call.stdout)["data_sets"]
    assert list(_figures(said)) == [
        # Other versions of R's packages may end their optimization elsewhere.
        (place, pytest.approx(figure, rel=1e-4, abs=1e-9) if isinstance(figure, float) else figure)
        for place, figure in _figures(R_SAYS)
    ]


def _figures(part: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested JSON, with their places."""
    if isinstance(part, dict | list):
        for key, inner in part.items() if isinstance(part, dict) else enumerate(part):
            yield from _figures(inner, f"{place}/{key}")
    else:
        yield place, float(part) if isinstance(part, int | float) and math.isfinite(part) else part
