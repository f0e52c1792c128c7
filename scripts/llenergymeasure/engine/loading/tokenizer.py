"""The tokenizer of a model's snapshot."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from llenergymeasure.engine.failure import ExperimentFailure, one_line


def read_tokenizer(snapshot: Path, *, trusted: bool) -> Any:
    """The tokenizer, which fills batches at their left side. trusted: whether its own code may run

    ExperimentFailure where the library does not read its files: the library's own error may be a bare KeyError.
    """
    try:
        return AutoTokenizer.from_pretrained(snapshot, trust_remote_code=trusted, padding_side="left")
    except Exception as error:
        reason = f"the tokenizer's files cannot be read ({one_line(error)}); download the model again, or use another"
        raise ExperimentFailure("load", type(error).__name__, reason, traceback.format_exc()) from error
