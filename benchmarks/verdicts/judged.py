"""What the analysis says of a simulated study: the same functions that fill the summary and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from benchmarks.verdicts.studies import Run
from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.ranking import Best, best
from llenergymeasure.results.statistics.analysis import analyse_metric
from llenergymeasure.results.statistics.comparable import account_from_parts
from llenergymeasure.results.statistics.comparisons.simultaneous import ratios_to
from llenergymeasure.results.statistics.estimates import Ratio, estimate
from llenergymeasure.results.statistics.split_plot import SplitPlot
from llenergymeasure.results.tables.output_match import Comparison

METRIC = "energy_per_output_token_j"
SOURCE, BOUNDARY = "measured:simulated", "simulated"
REFERENCE = "0.0"


def reference_ratios(runs: Sequence[Run]) -> Mapping[str, Ratio]:
    """experiment → its figure over the reference's, with intervals that hold for all of them at once."""
    analysis = analyse_metric(_table(runs), METRIC, account_from_parts(SOURCE, BOUNDARY), 0.95)
    return ratios_to(analysis, REFERENCE, [name for name in analysis.values if name != REFERENCE])


def named_best(runs: Sequence[Run]) -> Best:
    """What the headline says."""
    table = _table(runs)

    def analysis(metric: str, account: str | None, with_suspects: bool) -> SplitPlot:
        return analyse_metric(table, metric, account, 0.95, with_suspects)

    winner = best(_experiments(runs), METRIC, analysis)
    assert winner is not None
    return winner


def _table(runs: Sequence[Run]) -> pd.DataFrame:
    """The columns of the table of runs that are read here."""
    return pd.DataFrame(
        {
            "experiment_id": [run.experiment for run in runs],
            "setup_id": [run.setup for run in runs],
            "session_id": [run.session for run in runs],
            "replicate": [run.replicate for run in runs],
            "begun_unix_s": pd.array([run.started_s for run in runs], dtype="Float64"),
            "status": "ok",
            "validity": pd.array([run.validity for run in runs], dtype="string"),
            "energy_source": SOURCE,
            "boundary": BOUNDARY,
            "energy_gains": pd.array([_gains(run) for run in runs], dtype="string"),
            METRIC: [run.observed for run in runs],
        }
    )


def _gains(run: Run) -> str:
    """As in the table of runs: instrument → its share of the joules that were read, and the bound of its gain."""
    return json.dumps(
        {
            f"{reading.device} {reading.domain}": (reading.joules / run.observed, reading.gain_bound)
            for reading in run.readings
        }
    )


def _experiments(runs: Sequence[Run]) -> list[Experiment]:
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        by_name.setdefault(run.experiment, []).append(run)
    return [
        Experiment(
            experiment_id=name,
            setup_id=mine[0].setup,
            session_id=mine[0].session,
            parts=[],
            status="ok",
            reason=None,
            replicates=len(mine),
            energy_source=SOURCE,
            boundary=BOUNDARY,
            meter_uncertainty=None,
            output_digest=None,
            comparison=Comparison(*[None] * 7),
            estimates={METRIC: estimate(run.observed for run in mine)},
            values={METRIC: {run.replicate: run.observed for run in mine}},
            unknown={},
            expanded95={},
            level=0.95,
            suspect_left_out=0,
            break_even={},
        )
        for name, mine in by_name.items()
    ]
