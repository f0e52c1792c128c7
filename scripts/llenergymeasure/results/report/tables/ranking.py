"""The ranking: one row per configuration that is ranked, in groups by source of energy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment
from llenergymeasure.results.report.formatting import Scale, choose_scale, describe_estimate, significant
from llenergymeasure.results.report.ranking import Group
from llenergymeasure.results.report.tables.cells import Cell, Head, unknown_cell
from llenergymeasure.results.report.truncation import shown
from llenergymeasure.results.tables.summary import DIFFERS

NET_ENERGY = "net_energy_per_output_token_j"
RANKING = (
    ENERGY,
    "energy_per_request_j",
    NET_ENERGY,
    SPEED,
    "ttft_s",
    "tpot_s",
    "e2e_latency_s",
    "peak_memory_bytes",
)
_LENGTHS = Head(
    "Lengths", "tokens", "Mean input → output tokens per request. Joules and seconds per token depend on both."
)
_BETTER = {True: " Higher is better.", False: " Lower is better.", None: ""}


@dataclass(frozen=True)
class RankingRow:
    """One configuration. output: a letter, the same for the same output tokens"""

    number: str
    experiment: Experiment
    output: str
    cells: list[Cell]

    @property
    def same_sort(self) -> str:
        """Sorts the column "same output": an earlier difference is farther from the reference's output."""
        comparison = self.experiment.comparison
        if comparison.identical is None:
            return ""
        return "Infinity" if comparison.identical else str(comparison.first_difference)


@dataclass(frozen=True)
class RankingGroup:
    """One source and boundary of energy. uncertainty: the largest relative standard one that its meters state"""

    source: str | None
    boundary: str | None
    estimated: bool
    uncertainty: float | None
    rows: list[RankingRow]
    left_out: int


@dataclass(frozen=True)
class RankingTable:
    heads: list[Head]
    groups: list[RankingGroup]


def ranking_table(groups: Sequence[Group], numbers: Mapping[str, str]) -> RankingTable:
    """One group per source of energy; of very many configurations, the best of each."""
    ranked = [experiment for group in groups for experiment in group.experiments]
    scales = _scales(ranked)
    outputs = _output_letters(ranked)
    figures = [
        Head(metric.label, scales[metric.name].unit, f"{metric.definition}{_BETTER[metric.higher_is_better]}")
        for metric in (METRICS[name] for name in RANKING)
    ]
    return RankingTable([_LENGTHS, *figures], [_group(group, numbers, outputs, scales) for group in groups])


def _group(
    group: Group, numbers: Mapping[str, str], outputs: Mapping[str, str], scales: Mapping[str, Scale]
) -> RankingGroup:
    best = shown(group.experiments)
    rows = [
        RankingRow(
            numbers[experiment.experiment_id],
            experiment,
            outputs[experiment.experiment_id],
            [_lengths(experiment), *(_cell(experiment, name, scales[name]) for name in RANKING)],
        )
        for experiment in best.rows
    ]
    uncertainty = _largest(experiment.meter_uncertainty for experiment in group.experiments)
    return RankingGroup(group.source, group.boundary, group.estimated, uncertainty, rows, best.left_out)


def _scales(experiments: Sequence[Experiment]) -> dict[str, Scale]:
    """One prefix per column; gross and net joules share theirs, so that they can be compared at a glance."""
    scales = {name: choose_scale(name, [experiment.mean(name) for experiment in experiments]) for name in RANKING}
    scales[NET_ENERGY] = scales[ENERGY]
    return scales


def _cell(experiment: Experiment, metric: str, scale: Scale) -> Cell:
    estimate = experiment.estimates[metric]
    if estimate.mean is None:
        return unknown_cell(experiment.unknown[metric])
    text, spread = scale.estimate(estimate)
    return Cell(
        text,
        spread,
        describe_estimate(estimate, scale),
        estimate.mean,
        n=estimate.n if estimate.n != experiment.replicates else None,
        estimated=METRICS[metric].energy and experiment.estimated,
    )


def _lengths(experiment: Experiment) -> Cell:
    """Input and output tokens per request, from the rates of the same windows."""
    requests, outputs, both = (
        experiment.mean(name) for name in ("throughput_requests_per_s", SPEED, "throughput_total_tokens_per_s")
    )
    if not requests or outputs is None or both is None:
        return unknown_cell("the throughput is unknown")
    text = f"{significant((both - outputs) / requests)} → {significant(outputs / requests)}"
    return Cell(text, None, "mean input and output tokens per request", both / requests)


def _output_letters(experiments: Iterable[Experiment]) -> dict[str, str]:
    """The same letter for configurations whose first pass gave the same tokens, in every replicate."""
    letters: dict[str, str] = {}
    outputs = {}
    for experiment in experiments:
        digest = experiment.output_digest
        if digest is None or digest == DIFFERS:
            outputs[experiment.experiment_id] = DIFFERS if digest else "unknown"
        else:
            outputs[experiment.experiment_id] = letters.setdefault(digest, _letter(len(letters)))
    return outputs


def _letter(number: int) -> str:
    text = chr(ord("a") + number % 26)
    return text if number < 26 else _letter(number // 26 - 1) + text


def _largest(values: Iterable[float | None]) -> float | None:
    """None where one of them is unknown."""
    known = []
    for value in values:
        if value is None:
            return None
        known.append(value)
    return max(known, default=None)
