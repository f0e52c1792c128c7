"""How likely the reference's output is under the loaded model."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.generation.padding import embedding_rows, pad_token
from llenergymeasure.engine.generation.scoring import mean_logprob
from llenergymeasure.engine.loading.load import LoadedModel


@dataclass(frozen=True)
class Score:
    """logprob_mean: mean log-probability of a token of the reference's output; None for `reason`, if there is one

    failed: the library failed at it, and may have left its process unfit for the next experiment
    """

    logprob_mean: float | None
    reason: str | None = None
    failed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """These two keys of a record's `output_match`."""
        return {"reference_logprob_mean": self.logprob_mean, "logprob_reason": self.reason}


class ReferenceScores:
    """The scores of one load. They depend on the load alone, so each is computed for its first experiment only."""

    def __init__(self) -> None:
        # (reference, digest of its prompts) → log-probability.
        self._means: dict[tuple[str, str], float] = {}

    def score(
        self, loaded: LoadedModel, reference: Mapping[str, Any], prompts_digest: str, *, batch_size: int
    ) -> Score:
        """Of a reference that had the same prompts. A failure here does not lose what was measured."""
        key = (reference["experiment_id"], prompts_digest)
        if key not in self._means:
            try:
                self._means[key] = _mean(loaded, reference, batch_size)
            except ExperimentFailure as failure:
                print(failure.trace, file=sys.stderr, flush=True)
                return Score(None, f"{failure.error_class}: {failure.reason}", failed=True)
        mean = self._means[key]
        if math.isfinite(mean):
            return Score(mean)
        return Score(None, f"the model's log-probabilities are not finite: {mean}")


def _mean(loaded: LoadedModel, reference: Mapping[str, Any], batch_size: int) -> float:
    return mean_logprob(
        loaded.model,
        [row["prompt_ids"] for row in reference["outputs"]],
        [row["output_ids"] for row in reference["outputs"]],
        batch_size=batch_size,
        pad_token_id=pad_token(loaded.tokenizer, embedding_rows(loaded.model)),
        device=loaded.input_device,
    )
