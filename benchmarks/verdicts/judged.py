"""What the analysis says of a simulated study: the same functions that fill the summary and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from benchmarks.verdicts.studies import Run
from llenergymeasure.results.report.experiments import Experiment
from llenergymeasure.results.report.ranking import best
from llenergymeasure.results.statistics.analysis import analyse_metric
from llenergymeasure.results.statistics.estimates import Ratio, estimate
from llenergymeasure.results.statistics.simultaneous import ratios_to
from llenergymeasure.results.tables.output_match import Comparison

METRIC = "energy_per_output_token_j"
SOURCE = "measured:simulated"
REFERENCE = "0.0"


def reference_ratios(runs: Sequence[Run]) -> Mapping[str, Ratio]:
    """experiment → its figure over the reference's, with intervals that hold for all of them at once."""
    analysis = analyse_metric(_table(runs), METRIC, SOURCE, 0.95)
    return ratios_to(analysis, REFERENCE, [name for name in analysis.values if name != REFERENCE])


def named_best(runs: Sequence[Run]) -> tuple[str, float, float]:
    """The experiment of the headline and the interval of its figure."""
    winner = best(_experiments(runs), METRIC)
    assert winner is not None
    shown = winner.first.estimates[METRIC]
    assert shown.low is not None and shown.high is not None
    return winner.first.experiment_id, shown.low, shown.high


def _table(runs: Sequence[Run]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "experiment_id": [run.experiment for run in runs],
            "setup_id": [run.setup for run in runs],
            "session_id": [run.session for run in runs],
            "replicate": [run.replicate for run in runs],
            "status": "ok",
            "validity": [run.validity for run in runs],
            "energy_source": SOURCE,
            METRIC: [run.observed for run in runs],
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
            meter_uncertainty=None,
            output_digest=None,
            comparison=Comparison(*[None] * 7),
            estimates={METRIC: estimate(run.observed for run in mine)},
            values={METRIC: {run.replicate: run.observed for run in mine}},
            unknown={},
            expanded95={},
            level=0.95,
        )
        for name, mine in by_name.items()
    ]
