"""Where a row ended at a stop string. The library does not report that, and fills the rest of the row with padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers.generation import StopStringCriteria

from llenergymeasure.config.problems.text import show
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.generation.model_defaults import describe_source


class StopStrings:
    """Asks the library's own criterion after each token of a finished row."""

    def __init__(self, tokenizer: Any, strings: str | Sequence[str]) -> None:
        self._criterion = StopStringCriteria(tokenizer, strings if isinstance(strings, str) else list(strings))
        # Every pass of a window gives the same sequences.
        self._known: dict[tuple[int, bytes], list[int | None]] = {}

    def ends(self, sequences: torch.Tensor, width: int) -> list[int | None]:
        """New tokens of each row up to and with the one that completed a stop string; None where none did.

        sequences: ids of prompts and outputs, shape (rows, width + new)
        """
        held = sequences.cpu()
        key = (width, held.numpy().tobytes())
        if key not in self._known:
            self._known[key] = self._ends(held, width)
        return self._known[key]

    def _ends(self, sequences: torch.Tensor, width: int) -> list[int | None]:
        ends: list[int | None] = [None] * sequences.shape[0]
        for new in range(1, sequences.shape[1] - width + 1):
            done = self._criterion(sequences[:, : width + new], None).tolist()
            ends = [new if stopped and end is None else end for end, stopped in zip(ends, done, strict=True)]
        return ends


def stop_strings(model: Any, given: Mapping[str, Any], tokenizer: Any) -> StopStrings | None:
    """The stop strings of the call, else of the model's own files; None where there are none.

    ExperimentFailure for anything that is not text.
    """
    declared = given.get("stop_strings", model.generation_config.stop_strings)
    strings = [declared] if isinstance(declared, str) else declared
    if strings and not (isinstance(strings, Sequence) and all(isinstance(text, str) and text for text in strings)):
        raise ExperimentFailure(
            "generate",
            "InvalidStopStrings",
            f"{describe_source('stop_strings', given)} sets stop_strings = {show(declared)}; expected: texts of at "
            "least one character",
        )
    return StopStrings(tokenizer, declared) if declared else None
