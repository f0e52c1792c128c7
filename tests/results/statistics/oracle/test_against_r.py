"""The split-plot analysis against R's lme4, lmerTest, emmeans and multcomp, on ten data sets.

What R says is stored (`reference.json`); the slow test asks R again where it is installed.

Balanced data: mean squares and REML give the same variances, errors and degrees of freedom, so the two must agree up
to the optimizer of lmer (1e-6) and the numerical derivatives of lmerTest (1e-4 of the degrees of freedom).

Unbalanced data: Henderson's method 3 is not REML. There the sums of squares and their coefficients are compared, which
are exact (R gets the coefficients by synthesis), and the differences with R's paired t test and Welch's, which use the
same figures. The errors of REML's weighted differences are others: `UNBALANCED_ERROR` allows what ten data sets show.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from results.statistics.oracle.data_sets import BALANCED, FOLDER, UNBALANCED, write_data_sets

from llenergymeasure.results.statistics.simultaneous import comparisons_to
from llenergymeasure.results.statistics.split_plot import Difference, SplitPlot, analyse

HERE = Path(__file__).parent
SCRIPT, STORED = HERE / "reference.R", HERE / "reference.json"
R_SAYS: Mapping[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))["data_sets"]
REFERENCE = "0.0"
EXACT, OPTIMIZED, DERIVED = 1e-9, 1e-6, 1e-4
# Of the standard error of a difference where figures are missing, REML's against that of mean squares.
UNBALANCED_ERROR = 0.15
# Of a critical value: three standard deviations of a quantile of 10,000 draws, and R's own integration.
DRAWN = 0.03


def _analysis(name: str) -> SplitPlot:
    values: dict[str, dict[int, float]] = {}
    sessions: dict[str, str] = {}
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values.setdefault(row["experiment"], {})[int(row["replicate"])] = float(row["value"])
            sessions[row["experiment"]] = row["session"]
    return analyse(values, sessions)


def _differences(name: str) -> Iterator[tuple[Difference, Mapping[str, float]]]:
    """Ours and R's, of each experiment against the reference."""
    analysis = _analysis(name)
    for said in R_SAYS[name]["plain"]["differences"]:
        difference = analysis.difference(said["experiment"], REFERENCE)
        assert difference is not None
        yield difference, said


def test_there_are_ten_data_sets() -> None:
    assert set(R_SAYS) == {*BALANCED, *UNBALANCED} and len(R_SAYS) == 10


def test_the_data_sets_are_those_of_the_generator(tmp_path: Path) -> None:
    write_data_sets(tmp_path)
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.csv")}


@pytest.mark.parametrize("name", R_SAYS)
def test_sums_of_squares_are_those_of_anova(name: str) -> None:
    variances, said = _analysis(name).variances, R_SAYS[name]["plain"]["henderson"]
    assert variances is not None
    if "process_ss" in said:
        ours = (variances.between * variances.between_df, variances.between_df, variances.size)
        assert ours == pytest.approx((said["process_ss"], said["process_df"], said["coefficient"]), rel=EXACT)
        assert variances.within is not None
        ours = (variances.within * variances.within_df, variances.within_df)
    else:
        # A process that holds one experiment is its error.
        ours = (variances.between * variances.between_df, variances.between_df)
    assert ours == pytest.approx((said["residual_ss"], said["residual_df"]), rel=EXACT)


@pytest.mark.parametrize("name", BALANCED)
def test_balanced_variances_are_those_of_reml(name: str) -> None:
    variances, said = _analysis(name).variances, R_SAYS[name]["plain"]["variances"]
    assert variances is not None
    if said["process"] is None:
        assert variances.process == pytest.approx(said["residual"], rel=OPTIMIZED)
    else:
        assert variances.process > 0
        ours = (variances.process, variances.residual)
        assert ours == pytest.approx((said["process"], said["residual"]), rel=OPTIMIZED)


@pytest.mark.parametrize("name", BALANCED)
def test_balanced_differences_are_those_of_lmertest(name: str) -> None:
    for difference, said in _differences(name):
        assert difference.value == pytest.approx(said["difference"], abs=EXACT)
        assert difference.standard_error == pytest.approx(said["standard_error"], rel=OPTIMIZED)
        assert difference.df == pytest.approx(said["df"], rel=DERIVED)


@pytest.mark.parametrize("name", UNBALANCED)
def test_unbalanced_differences_use_the_pairs_that_there_are_and_have_nearly_remls_errors(name: str) -> None:
    paired, welch = ({row["experiment"]: row for row in R_SAYS[name][kind]} for kind in ("paired", "welch"))
    for difference, said in _differences(name):
        alike = (paired if difference.same_session else welch)[difference.one]
        assert difference.value == pytest.approx(alike["difference"], abs=EXACT)
        assert difference.standard_error == pytest.approx(said["standard_error"], rel=UNBALANCED_ERROR)
        assert difference.value == pytest.approx(said["difference"], abs=said["standard_error"] / 5)


@pytest.mark.parametrize("name", R_SAYS)
def test_critical_values_are_those_of_the_multivariate_t(name: str) -> None:
    analysis, said = _analysis(name), R_SAYS[name]["plain"]["simultaneous"]
    comparisons = comparisons_to(analysis, REFERENCE, [one for one in analysis.values if one != REFERENCE])
    assert comparisons is not None
    dfs = {round(difference.df, 6) for difference in comparisons.differences}
    if len(dfs) == 1:
        assert comparisons.critical == pytest.approx(said["critical"], rel=DRAWN)
    else:
        # The multivariate t has one number of degrees of freedom, the smallest, so it is the larger.
        assert comparisons.critical <= said["critical"] * (1 + DRAWN)


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
