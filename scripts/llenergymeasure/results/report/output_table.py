"""The report's table "Same output?": which settings change what the model says, and which look cheaper by that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llenergymeasure.results.report.experiments import ENERGY, Experiment
from llenergymeasure.results.report.tables import Cell
from llenergymeasure.results.report.truncation import MOST, Shown, shown


@dataclass(frozen=True)
class OutputRow:
    """cheaper: needs less energy than the reference, by the means, and gives another output."""

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
        """Of very many the reference, then those that are cheaper and say something else."""
        if len(self.rows) <= MOST:
            return shown(self.rows)
        return shown(sorted(self.rows, key=lambda row: (not row.is_reference, not row.cheaper)))

    @property
    def cheaper(self) -> list[Experiment]:
        return [row.experiment for row in self.rows if row.cheaper]


def output_table(experiments: Sequence[Experiment]) -> OutputTable:
    """All experiments, the reference first, then in the plan's order."""
    by_id = {item.experiment_id: item for item in experiments}
    reference = next((by_id.get(item.comparison.reference or "") for item in experiments), None)
    ordered = sorted(experiments, key=lambda item: item is not reference)
    return OutputTable(reference, [_row(item, reference) for item in ordered])


def _row(item: Experiment, reference: Experiment | None) -> OutputRow:
    ratio = _energy_ratio(item, reference)
    return OutputRow(
        experiment=item,
        is_reference=item is reference,
        verdict=_verdict(item),
        cheaper=item.comparison.differs and ratio is not None and ratio < 1,
        cells=[_share(item), _logprob(item), _logprob_change(item, reference), _energy(item, reference, ratio)],
    )


def _verdict(item: Experiment) -> str:
    found = item.comparison
    if found.identical is None:
        return f"not compared: {found.why_unknown}"
    return "identical" if found.identical else f"differs from token {found.first_difference}"


def _share(item: Experiment) -> Cell:
    share = item.comparison.equal_token_share
    if share is None:
        return Cell("–", None, item.comparison.why_unknown or "", None)
    text = f"{100 * share:.1f} %"
    if share < 1 and text == "100.0 %":
        # Nearly all is not all.
        text = "> 99.9 %"
    return Cell(text, None, "", share)


def _logprob(item: Experiment) -> Cell:
    found = item.comparison
    if found.reference_logprob is None:
        return Cell("–", None, found.why_no_logprob or "", None)
    return Cell(_signed(found.reference_logprob), None, "", found.reference_logprob)


def _logprob_change(item: Experiment, reference: Experiment | None) -> Cell:
    mine = item.comparison.reference_logprob
    own = reference.comparison.reference_logprob if reference else None
    if item is reference or mine is None or own is None:
        return Cell("–", None, "" if item is reference else "one of the two is not known", None)
    return Cell(_signed(mine - own, plus="+"), None, "", mine - own)


def _energy_ratio(item: Experiment, reference: Experiment | None) -> float | None:
    """Energy per output token over the reference's; None where the two may not be compared."""
    if reference is None or not (item.ranked and reference.ranked) or item.energy_source != reference.energy_source:
        return None
    mine, own = item.mean(ENERGY), reference.mean(ENERGY)
    return mine / own if mine is not None and own else None


def _energy(item: Experiment, reference: Experiment | None, ratio: float | None) -> Cell:
    if item is reference or ratio is None:
        why = "" if item is reference else "no figure, or none of the same source as the reference's"
        return Cell("–", None, why, None)
    return Cell(f"{_signed(100 * (ratio - 1), 1, '+')} %", None, "", ratio, estimated=item.estimated)


def _signed(value: float, places: int = 3, plus: str = "") -> str:
    text = f"{abs(value):.{places}f}"
    if float(text) == 0:
        return text
    return f"{'−' if value < 0 else plus}{text}"
