"""Prefill both ways, and the idle baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.report.experiments import Agreement, Experiment
from llenergymeasure.results.report.formatting import choose_scale, percent
from llenergymeasure.results.report.tables.cells import Cell, Head, estimate_cell

COLUMNS = (
    "prefill_energy_j",
    "prefill_energy_trace_j",
    "decode_energy_j",
    "energy_per_prompt_token_j",
    "net_energy_per_request_j",
    "baseline_power_w",
)


@dataclass(frozen=True)
class PhaseRow:
    """agree: in how many replicates both ways of finding the prefill energy agree; share: of the baseline"""

    number: str
    experiment: Experiment
    cells: list[Cell]
    agree: str
    share: str


@dataclass(frozen=True)
class PhaseTable:
    heads: list[Head]
    rows: list[PhaseRow]


def phase_table(experiments: Sequence[Experiment], numbers: Mapping[str, str]) -> PhaseTable | None:
    """One row per experiment with energy; None where there is none."""
    known = [experiment for experiment in experiments if experiment.mean("energy_per_request_j") is not None]
    if not known:
        return None
    scales = {name: choose_scale(name, [experiment.mean(name) for experiment in known]) for name in COLUMNS}
    return PhaseTable(
        heads=[Head(METRICS[name].label, scales[name].unit, METRICS[name].definition) for name in COLUMNS],
        rows=[
            PhaseRow(
                number=numbers[experiment.experiment_id],
                experiment=experiment,
                cells=[
                    estimate_cell(
                        experiment.estimates[name],
                        scales[name],
                        experiment.unknown.get(name, ""),
                        experiment.estimated,
                    )
                    for name in COLUMNS
                ],
                agree=_describe_agreement(experiment.phase_agreement),
                share="unknown" if (share := experiment.mean("baseline_share")) is None else percent(share),
            )
            for experiment in known
        ],
    )


def _describe_agreement(agreement: Agreement) -> str:
    return f"{agreement.agreeing} of {agreement.compared}" if agreement.compared else "not compared"
