"""Outputs that `fixed_output` carries on behind their natural end, and what that does to speculation."""

from __future__ import annotations

from collections.abc import Sequence

from llenergymeasure.engine.evidence.observe import Observation
from llenergymeasure.engine.generation.keywords import eos_token_ids
from llenergymeasure.records.finding import warning


def beyond_natural_end(observation: Observation, outputs: Sequence[Sequence[int]]) -> int:
    """How many outputs have an end token of the model before their last token."""
    ends = eos_token_ids(observation.model, {}, fixed_output=False)
    return sum(any(token in ends for token in ids[:-1]) for ids in outputs)


def speculation_warnings(observation: Observation, outputs: Sequence[Sequence[int]]) -> list[dict[str, str]]:
    """A warning where tokens were guessed ahead in outputs of a fixed length.

    outputs: ids of every prompt in the instrumented pass, of all processes
    """
    heard = observation.heard
    if not observation.fixed_output or heard is None or heard.guesser is None:
        return []
    beyond = beyond_natural_end(observation, outputs)
    kept = f"{heard.accepted} of {heard.proposed} guessed tokens were kept"
    message = (
        f"{kept} by {heard.guesser}, with fixed_output: {beyond} of {len(outputs)} outputs run on behind their natural "
        "end, where text repeats itself and is easily guessed; set fixed_output: false to compare speculation"
    )
    return [warning("speculation-fixed-output", message)]
