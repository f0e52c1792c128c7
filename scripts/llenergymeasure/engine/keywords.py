"""Keywords of `model.generate()` for one experiment, derived from the parameter declarations."""

from __future__ import annotations

from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.parameters import keywords


def generate_keywords(config: ExperimentConfig, *, pad_token_id: int) -> dict[str, Any]:
    """What to pass to `generate`. None means the library's default and is not passed on."""
    given = keywords(config, "generate")
    if config.fixed_output:
        given["min_new_tokens"] = config.max_output_tokens
    if config.pytorch.torch_compile:
        # The model's own call is compiled already; `generate` must not compile it a second time.
        given["disable_compile"] = True
    return {**given, "pad_token_id": pad_token_id, **config.passthrough_kwargs.generate}


def pad_token(tokenizer: Any) -> int:
    """The id used for padding: the tokenizer's own, else its end-of-sequence token (masked either way)."""
    if tokenizer.pad_token_id is not None:
        return int(tokenizer.pad_token_id)
    if tokenizer.eos_token_id is not None:
        return int(tokenizer.eos_token_id)
    return 0


def eos_token_ids(model: Any, *, fixed_output: bool) -> frozenset[int]:
    """Ids that end a row. None in fixed-output mode, where every row is as long as it was asked to be."""
    declared = model.generation_config.eos_token_id
    if fixed_output or declared is None:
        return frozenset()
    return frozenset([declared] if isinstance(declared, int) else declared)
