"""Which way of batching an experiment uses. A new way is one new class and one new line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.engine.generation.batches import make_batches
from llenergymeasure.engine.generation.continuous_batching import ContinuousGenerator
from llenergymeasure.engine.generation.generation import Generator
from llenergymeasure.engine.generation.keywords import (
    continuous_options,
    eos_token_ids,
    generate_keywords,
)
from llenergymeasure.engine.generation.padding import embedding_rows, pad_token
from llenergymeasure.engine.generation.seeds import PassSeeds
from llenergymeasure.engine.generation.static_batching import StaticGenerator
from llenergymeasure.engine.generation.stop_strings import stop_strings
from llenergymeasure.engine.loading.load import LoadedModel

Prompts = Sequence[Sequence[int]]


def generator_for(
    config: ExperimentConfig, loaded: LoadedModel, prompts: Prompts, *, first_request: int = 0, replicate: int = 0
) -> Generator:
    """A generator over tokenized prompts, of which the first is number `first_request` of the whole set.

    replicate: from 1, and 0 outside a measurement
    """
    return _WAYS[config.pytorch.batching or "static"](config, loaded, prompts, first_request, replicate)


def _static(
    config: ExperimentConfig, loaded: LoadedModel, prompts: Prompts, first_request: int, replicate: int
) -> Generator:
    pad = pad_token(loaded.tokenizer, embedding_rows(loaded.model))
    keywords = generate_keywords(config, pad_token_id=pad, defaults=loaded.defaults)
    if loaded.assistant is not None:
        keywords["assistant_model"] = loaded.assistant
    strings = stop_strings(loaded.model, keywords, loaded.tokenizer)
    if strings is not None:
        keywords["tokenizer"] = loaded.tokenizer
    return StaticGenerator(
        model=loaded.model,
        devices=loaded.devices,
        batches=make_batches(
            prompts, config.pytorch.batch_size or 1, pad, loaded.input_device, first_request=first_request
        ),
        keywords=keywords,
        seeds=PassSeeds(config.random_seed, replicate),
        max_new_tokens=config.max_output_tokens,
        eos_token_ids=eos_token_ids(loaded.model, keywords, fixed_output=config.fixed_output),
        strings=strings,
        inference_mode=bool(config.pytorch.inference_mode),
    )


def _continuous(
    config: ExperimentConfig, loaded: LoadedModel, prompts: Prompts, first_request: int, replicate: int
) -> Generator:
    keywords = generate_keywords(config, pad_token_id=pad_token(loaded.tokenizer, embedding_rows(loaded.model)))
    return ContinuousGenerator(
        model=loaded.model,
        devices=loaded.devices,
        prompts=prompts,
        first_request=first_request,
        keywords=keywords,
        options=continuous_options(config),
        seeds=PassSeeds(config.random_seed, replicate),
        max_new_tokens=config.max_output_tokens,
        eos_token_ids=eos_token_ids(loaded.model, keywords, fixed_output=config.fixed_output),
    )


_WAYS: Mapping[str, Callable[[ExperimentConfig, LoadedModel, Prompts, int, int], Generator]] = {
    "static": _static,
    "continuous": _continuous,
}
