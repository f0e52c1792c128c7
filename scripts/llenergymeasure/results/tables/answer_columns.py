"""An experiment's answer against the reference's: from the records to the tables, and back into words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

NO_RECORD = "no replicate gave figures"
NOT_COMPARED = "the record holds no comparison with this reference"

# Column → what it is called in a record's `answer`. These stand behind all others, in runs and in the summary.
_COLUMNS = {
    "answer_reference": "reference",
    "answer_identical": "identical",
    "answer_first_difference": "first_difference",
    "answer_equal_token_share": "equal_token_share",
    "answer_reference_logprob": "reference_logprob_mean",
}
ANSWER_COLUMNS = tuple(_COLUMNS)
ANSWER_KINDS = {
    "answer_reference": "string",
    "answer_identical": "boolean",
    "answer_first_difference": "Int64",
    "answer_equal_token_share": "Float64",
    "answer_reference_logprob": "Float64",
}


@dataclass(frozen=True)
class Comparison:
    """What the replicates of one experiment say together; None where it is not known.

    reference: experiment whose answer this one is compared with
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


def run_columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """One run's comparison, null where the run failed."""
    answer = record.get("answer") or {}
    return {column: answer.get(name) for column, name in _COLUMNS.items()}


def summary_columns(
    reference: str | None,
    *,
    identical: list[bool | None],
    first_difference: list[int | None],
    equal_token_share: list[float | None],
    reference_logprob: list[float | None],
) -> dict[str, list[Any]]:
    """The summary's columns, a value an experiment."""
    values = ([reference] * len(identical), identical, first_difference, equal_token_share, reference_logprob)
    return dict(zip(ANSWER_COLUMNS, values, strict=True))


def comparison_of(row: Mapping[Any, Any], valid: Iterable[Mapping[str, Any]]) -> Comparison:
    """From an experiment's row of the summary, with the reasons that its valid records give."""
    records = list(valid)
    reference = _or_none(row["answer_reference"])
    answers = [found for record in records if (found := record.get("answer")) and found["reference"] == reference]
    reasons = dict.fromkeys(answer["reason"] for answer in answers if answer["reason"])
    unscored = dict.fromkeys(answer["logprob_reason"] for answer in answers if answer["logprob_reason"])
    identical = _or_none(row["answer_identical"])
    first = _or_none(row["answer_first_difference"])
    why_unknown = None
    if identical is None:
        why_unknown = "; ".join(reasons) or (NOT_COMPARED if records else NO_RECORD)
    return Comparison(
        reference=reference,
        identical=None if identical is None else bool(identical),
        first_difference=None if first is None else int(first),
        equal_token_share=_or_none(row["answer_equal_token_share"]),
        reference_logprob=_or_none(row["answer_reference_logprob"]),
        why_unknown=why_unknown,
        why_no_logprob="; ".join(unscored) or why_unknown,
    )


def _or_none(value: Any) -> Any:
    return None if value is None or pd.isna(value) else value
