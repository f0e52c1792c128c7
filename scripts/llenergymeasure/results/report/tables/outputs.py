"""Same output? Which settings change what the model says, and which of those look cheaper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llenergymeasure.results.report.experiments import ENERGY, Experiment
from llenergymeasure.results.report.tables.cells import Cell
from llenergymeasure.results.report.truncation import MOST, Shown, shown


@dataclass(frozen=True)
class OutputRow:
    """cheaper: the means say that it needs less energy than the reference, and it gives a different output."""

    experiment: Experiment
    is_reference: bool
    verdict: str
    cheaper: bool
    cells: list[Cell]


@dataclass(frozen=True)
class OutputTable:
    """reference: None where the plan's reference is not known, as in results of an older program.

    rows: all experiments; of very many the page shows `first`
    """

    reference: Experiment | None
    rows: list[OutputRow]

    @property
    def why_nothing(self) -> str | None:
        """Why no experiment could be compared; None where one could."""
        if any(row.experiment.comparison.identical is not None for row in self.rows):
            return None
        reasons = dict.fromkeys(row.experiment.comparison.why_unknown or "" for row in self.rows)
        return "; ".join(reasons)

    @property
    def first(self) -> Shown[OutputRow]:
        """Of very many the reference, then those that are cheaper and give a different output."""
        if len(self.rows) <= MOST:
            return shown(self.rows)
        return shown(sorted(self.rows, key=lambda row: (not row.is_reference, not row.cheaper)))

    @property
    def cheaper(self) -> list[Experiment]:
        return [row.experiment for row in self.rows if row.cheaper]


def output_table(experiments: Sequence[Experiment]) -> OutputTable:
    """All experiments, the reference first, then in the plan's order."""
    by_id = {experiment.experiment_id: experiment for experiment in experiments}
    reference = next((by_id.get(experiment.comparison.reference or "") for experiment in experiments), None)
    ordered = sorted(experiments, key=lambda experiment: experiment is not reference)
    return OutputTable(reference, [_row(experiment, reference) for experiment in ordered])


def _row(experiment: Experiment, reference: Experiment | None) -> OutputRow:
    ratio = _energy_ratio(experiment, reference)
    return OutputRow(
        experiment=experiment,
        is_reference=experiment is reference,
        verdict=_verdict(experiment),
        cheaper=experiment.comparison.differs and ratio is not None and ratio < 1,
        cells=[
            _share(experiment),
            _logprob(experiment),
            _logprob_change(experiment, reference),
            _energy(experiment, reference, ratio),
        ],
    )


def _verdict(experiment: Experiment) -> str:
    comparison = experiment.comparison
    if comparison.identical is None:
        return f"not compared: {comparison.why_unknown}"
    return "identical" if comparison.identical else f"differs from token {comparison.first_difference}"


def _share(experiment: Experiment) -> Cell:
    share = experiment.comparison.equal_token_share
    if share is None:
        return _dash(experiment.comparison.why_unknown or "")
    text = f"{100 * share:.1f} %"
    if share < 1 and text == "100.0 %":
        # Nearly all is not all.
        text = "> 99.9 %"
    return Cell(text, None, "", share)


def _logprob(experiment: Experiment) -> Cell:
    comparison = experiment.comparison
    if comparison.reference_logprob is None:
        return _dash(comparison.why_no_logprob or "")
    return Cell(_signed(comparison.reference_logprob), None, "", comparison.reference_logprob)


def _logprob_change(experiment: Experiment, reference: Experiment | None) -> Cell:
    mine = experiment.comparison.reference_logprob
    own = reference.comparison.reference_logprob if reference else None
    if experiment is reference:
        return _dash("")
    if mine is None or own is None:
        return _dash("one of the two is not known")
    return Cell(_signed(mine - own, plus="+"), None, "", mine - own)


def _energy_ratio(experiment: Experiment, reference: Experiment | None) -> float | None:
    """Energy per output token over the reference's; None where the two may not be compared."""
    if reference is None or not (experiment.ranked and reference.ranked):
        return None
    if (experiment.energy_source, experiment.boundary) != (reference.energy_source, reference.boundary):
        return None
    mine, own = experiment.mean(ENERGY), reference.mean(ENERGY)
    return mine / own if mine is not None and own else None


def _energy(experiment: Experiment, reference: Experiment | None, ratio: float | None) -> Cell:
    if experiment is reference:
        return _dash("")
    if ratio is None:
        return _dash("one of the two has no figure, or they differ in source or boundary")
    return Cell(f"{_signed(100 * (ratio - 1), 1, '+')} %", None, "", ratio, estimated=experiment.estimated)


def _dash(reason: str) -> Cell:
    return Cell("–", None, reason, None)


def _signed(value: float, places: int = 3, plus: str = "") -> str:
    text = f"{abs(value):.{places}f}"
    if float(text) == 0:
        return text
    return f"{'−' if value < 0 else plus}{text}"
