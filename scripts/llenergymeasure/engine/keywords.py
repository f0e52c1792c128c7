"""Keywords of `model.generate()` for one experiment, derived from the parameter declarations."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from transformers import CompileConfig, ContinuousBatchingConfig

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.parameters import keywords


def generate_keywords(config: ExperimentConfig, *, pad_token_id: int) -> dict[str, Any]:
    """Fields of the `GenerationConfig` that is generated with. None means the library's default, not passed on."""
    given = keywords(config, "generate")
    # A model, not a setting: `generator_for` hands it over.
    given.pop("assistant_model", None)
    if "compile_config" in given:
        given["compile_config"] = CompileConfig(**given["compile_config"])
    if config.fixed_output and config.pytorch.batching != "continuous":
        given["min_new_tokens"] = config.max_output_tokens
    if config.pytorch.torch_compile:
        # The model's own call is compiled already; `generate` must not compile it a second time.
        given["disable_compile"] = True
    return {**given, "pad_token_id": pad_token_id, **config.passthrough_kwargs.generate}


def continuous_options(config: ExperimentConfig) -> Mapping[str, Any]:
    """Fields of the `ContinuousBatchingConfig`."""
    options: dict[str, Any] = {}
    if config.pytorch.batch_size is not None:
        options["max_requests_per_batch"] = config.pytorch.batch_size
    if config.pytorch.attn_implementation is not None and scheduler_takes("auto_switch_to_flash"):
        # The library would take flash attention wherever it is installed. Versions without this switch do, and then
        # the evidence of the attention says so.
        options["auto_switch_to_flash"] = False
    return {**options, **config.passthrough_kwargs.continuous_batching}


def scheduler_takes(name: str) -> bool:
    """Whether the installed library's `ContinuousBatchingConfig` has an option of that name."""
    return name in inspect.signature(ContinuousBatchingConfig).parameters


def page_option() -> str:
    """What the library calls the tokens of a page of the paged cache; before 5.23 a block."""
    return "page_size" if scheduler_takes("page_size") else "block_size"


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
