"""Keywords of `model.generate()` for one experiment, derived from the parameter declarations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import CompileConfig

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
    if config.pytorch.attn_implementation is not None:
        # The library would take flash attention wherever it is installed.
        options["auto_switch_to_flash"] = False
    return {**options, **config.passthrough_kwargs.continuous_batching}


def pad_token(tokenizer: Any, rows: int | None) -> int:
    """The id used for padding: the tokenizer's own, else its end-of-sequence token (masked either way).

    rows: of the model's embedding, where known; an id that it has no row for would end `generate`
    """
    found = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((int(token) for token in found if token is not None and (rows is None or token < rows)), 0)


def padding_replaced(tokenizer: Any, rows: int | None) -> str | None:
    """What to know where the tokenizer's own padding can't be used; None where it can, or there is none."""
    own = tokenizer.pad_token_id
    if own is None or rows is None or own < rows:
        return None
    return (
        f"the tokenizer's padding token {tokenizer.pad_token!r} has the id {own}, but the model's embedding has {rows} "
        f"rows; batches are padded with id {pad_token(tokenizer, rows)}, which is masked"
    )


def embedding_rows(model: Any) -> int:
    """How many token ids the loaded model's input embedding has rows for."""
    embedding = model.get_input_embeddings()
    return int(getattr(embedding, "num_embeddings", None) or embedding.weight.shape[0])


def eos_token_ids(model: Any, *, fixed_output: bool) -> frozenset[int]:
    """Ids that end a row. None in fixed-output mode, where every row is as long as it was asked to be."""
    declared = model.generation_config.eos_token_id
    if fixed_output or declared is None:
        return frozenset()
    return frozenset([declared] if isinstance(declared, int) else declared)
