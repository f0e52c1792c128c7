"""The comparison of two studies against R's Welch test and two one-sided tests, on the oracle's data sets."""

from __future__ import annotations

import pytest
from results.statistics.oracle.data_sets import read_sessions
from results.statistics.oracle.test_against_r import EXACT, R_SAYS, REFERENCE

from llenergymeasure.results.statistics.between_studies.equivalence import LogRatio, judge, log_ratio
from llenergymeasure.results.statistics.split_plot import SplitPlot, analyse

# As in reference.R.
MARGIN = 0.02
PAIRS = [(name, row["experiment"]) for name, said in R_SAYS.items() for row in said["welch"]]


def _of_one(figures: dict[int, float]) -> SplitPlot:
    return analyse({"one": figures}, {"one": "session"})


def _new_over_old(name: str, experiment: str) -> LogRatio:
    """The reference as one study of a single experiment, `experiment` as its rerun."""
    figures = {one: runs for session in read_sessions(name).values() for one, runs in session.items()}
    ratio = log_ratio(_of_one(figures[REFERENCE]), _of_one(figures[experiment]), "one")
    assert ratio is not None
    return ratio


@pytest.mark.parametrize(("name", "experiment"), PAIRS)
def test_two_studies_are_compared_as_by_welchs_test(name: str, experiment: str) -> None:
    ratio = _new_over_old(name, experiment)
    said = next(row for row in R_SAYS[name]["welch"] if row["experiment"] == experiment)
    ours = (ratio.value, ratio.standard_error, ratio.df)
    assert ours == pytest.approx((said["difference"], said["standard_error"], said["df"]), rel=EXACT)


def test_they_are_called_the_same_where_both_one_sided_tests_reject() -> None:
    answers = {"same": 0, "other": 0}
    for name, experiment in PAIRS:
        said = next(row for row in R_SAYS[name]["welch"] if row["experiment"] == experiment)
        same = judge(_new_over_old(name, experiment), MARGIN).answer == "same"
        assert same == (said["equivalence_p"] < 0.05)
        answers["same" if same else "other"] += 1
    assert min(answers.values()) > 5
