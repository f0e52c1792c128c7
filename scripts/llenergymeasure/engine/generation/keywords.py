"""Keywords of `model.generate()` for one experiment, derived from the parameter declarations."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import CompileConfig, ContinuousBatchingConfig

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.rules.passthrough import END_KEYWORDS
from llenergymeasure.config.settings.registry import keywords
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.generation.model_defaults import RELIED_ON, ModelDefaults, describe_source

# With `fixed_output` every row has the requested length, whatever a model's own file says: nothing ends it, and an end
# token is a token like any other, as with `ignore_eos` of vLLM. Holding it back would cost a logits processor in every
# step, and `generate_batch` has none that does.
_NO_EARLY_END: Mapping[str, Any] = dict.fromkeys(END_KEYWORDS)


def generate_keywords(
    config: ExperimentConfig, *, pad_token_id: int, defaults: ModelDefaults | None = None
) -> dict[str, Any]:
    """Fields of the experiment's `GenerationConfig`. None means the library's default: it is not passed on.

    defaults: what the model's files set; their least length is handed over where the study does not set one
    """
    given = keywords(config, "generate")
    # A model, not a setting: `generator_for` hands it over.
    given.pop("assistant_model", None)
    if "compile_config" in given:
        given["compile_config"] = CompileConfig(**given["compile_config"])
    if config.pytorch.batching == "continuous":
        # The processor cannot read the flat rows of `generate_batch`, and a model's file would make it try.
        given["no_repeat_ngram_size"] = 0
    if config.fixed_output:
        given.update(_NO_EARLY_END)
    elif defaults is not None and defaults.min_length and "min_new_tokens" not in given:
        given["min_length"] = defaults.min_length
    if config.pytorch.torch_compile:
        # The model's own call is compiled already; `generate` must not compile it a second time.
        given["disable_compile"] = True
    return {**given, **RELIED_ON, "pad_token_id": pad_token_id, **config.passthrough_kwargs.generate}


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
    """The library's option for the tokens per page of the paged cache; before 5.23 a page was called a block."""
    return "page_size" if scheduler_takes("page_size") else "block_size"


def eos_token_ids(model: Any, given: Mapping[str, Any], *, fixed_output: bool) -> frozenset[int]:
    """Ids that end a row: those of the call, else of the model's own files.

    Empty in fixed-output mode, where rows run through them. ExperimentFailure for anything that is not a token id.
    """
    declared = given.get("eos_token_id", model.generation_config.eos_token_id)
    ids = [] if declared is None else [declared] if isinstance(declared, int) else declared
    if not isinstance(ids, Sequence) or not all(isinstance(token, int) for token in ids):
        raise ExperimentFailure(
            "generate",
            "InvalidEndToken",
            f"{describe_source('eos_token_id', given)} sets eos_token_id = {show(declared)}; expected: a token id, or "
            "a list of token ids",
        )
    return frozenset() if fixed_output else frozenset(ids)
