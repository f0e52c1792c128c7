"""An experiment's output against the reference's: from the records to the tables, and back into words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.results.reading.compact import CompactRecord
from llenergymeasure.results.tables.empty_cells import none_if_nan

NO_RECORD = "no replicate gave figures"
NOT_COMPARED = "the record has no comparison with this reference"

# These columns come after all others, in runs and in the summary.
OUTPUT_MATCH_KINDS = {
    "output_match_reference": "string",
    "output_match_identical": "boolean",
    "output_match_first_difference": "Int64",
    "output_match_equal_token_share": "Float64",
    "output_match_reference_logprob": "Float64",
}
OUTPUT_MATCH_COLUMNS = tuple(OUTPUT_MATCH_KINDS)


@dataclass(frozen=True)
class Comparison:
    """What all replicates of one experiment say together; None where it is not known.

    reference: experiment whose output this one is compared with
    identical: whether every replicate put out the reference's tokens
    first_difference: index of the earliest token that differs, the first output token being 0
    equal_token_share: positions with the reference's token over all positions, from 0 to 1
    reference_logprob: mean natural logarithm of a reference token's probability under this experiment's model
    why_unknown, why_no_logprob: why there is no comparison, and no log-probability
    """

    reference: str | None
    identical: bool | None
    first_difference: int | None
    equal_token_share: float | None
    reference_logprob: float | None
    why_unknown: str | None
    why_no_logprob: str | None

    @property
    def differs(self) -> bool:
        return self.identical is False

    @property
    def marker(self) -> str:
        """For a narrow column: `yes`, `from token 3`, or a dash where it is not known."""
        if self.identical is None:
            return "–"
        return "yes" if self.identical else f"from token {self.first_difference}"


def run_columns(record: MeasurementRecord) -> dict[str, Any]:
    """One run's comparison, null where the run failed."""
    match = record.output_match
    values = (
        (
            match.reference,
            match.identical,
            match.first_difference,
            match.equal_token_share,
            match.reference_logprob_mean,
        )
        if match is not None
        else (None,) * len(OUTPUT_MATCH_COLUMNS)
    )
    return dict(zip(OUTPUT_MATCH_COLUMNS, values, strict=True))


def summary_columns(
    reference: str | None,
    *,
    identical: list[bool | None],
    first_difference: list[int | None],
    equal_token_share: list[float | None],
    reference_logprob: list[float | None],
) -> dict[str, list[Any]]:
    """The summary's columns, one value per experiment."""
    values = ([reference] * len(identical), identical, first_difference, equal_token_share, reference_logprob)
    return dict(zip(OUTPUT_MATCH_COLUMNS, values, strict=True))


def comparison_from_row(row: Mapping[Any, Any], valid: Iterable[CompactRecord]) -> Comparison:
    """From an experiment's row in the summary, with the reasons that its valid records give."""
    records = list(valid)
    reference = none_if_nan(row["output_match_reference"])
    outputs = [match for record in records if (match := record.output_match) and match.reference == reference]
    reasons = dict.fromkeys(output.reason for output in outputs if output.reason)
    unscored = dict.fromkeys(output.logprob_reason for output in outputs if output.logprob_reason)
    identical = none_if_nan(row["output_match_identical"])
    first = none_if_nan(row["output_match_first_difference"])
    why_unknown = None
    if identical is None:
        why_unknown = "; ".join(reasons) or (NOT_COMPARED if records else NO_RECORD)
    return Comparison(
        reference=reference,
        identical=None if identical is None else bool(identical),
        first_difference=None if first is None else int(first),
        equal_token_share=none_if_nan(row["output_match_equal_token_share"]),
        reference_logprob=none_if_nan(row["output_match_reference_logprob"]),
        why_unknown=why_unknown,
        why_no_logprob="; ".join(unscored) or why_unknown,
    )
