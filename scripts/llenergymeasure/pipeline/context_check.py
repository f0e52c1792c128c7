"""Prompt and output against the positions of a model. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llenergymeasure.config.problems.catalogue import POSITIONS_MISSING, POSITIONS_UNTRAINED, Check
from llenergymeasure.models.positions import Positions
from llenergymeasure.records.study.checks import ModelPositions


def context_doubt(
    limits: ModelPositions | Positions | None, longest: int | None, intent: Mapping[str, Any]
) -> tuple[Check, str] | None:
    """What is wrong with the length of prompt and output, with the numbers; None where all tokens have a position.

    longest: tokens of the longest prompt, None where it is not known; intent: the experiment's nested settings
    """
    if limits is None or longest is None:
        return None
    new = int(intent["max_output_tokens"])
    excess = Positions(limits.limit, limits.fixed, limits.source).excess(longest, new)
    if not excess:
        return None
    lower = [
        f"{name} to {least - excess} or less"
        for name, least in (("max_output_tokens", new), ("max_input_tokens", longest))
        if least > excess
    ]
    advice = f" (here: {' or '.join(lower)})" if lower else ""
    message = (
        f"the longest prompt has {longest} tokens and max_output_tokens is {new}, which takes {longest + new - 1} "
        f"positions; the model has {limits.limit} by {limits.source}{advice}"
    )
    return (POSITIONS_MISSING if limits.fixed else POSITIONS_UNTRAINED), message
