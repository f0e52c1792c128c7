"""How tokens are generated: batches, cache, beams."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.parameter import LibraryChoice, Requirement, When, excludes, needs, parameter

STATIC_CACHES = ("static", "offloaded_static", "sliding_window")

CacheImplementation = Literal["static", "offloaded_static", "dynamic", "offloaded", "quantized", "sliding_window"]
_GONE_CACHES = {
    "hybrid": "transformers silently runs a DynamicCache instead",
    "hybrid_chunked": "transformers has deprecated it and derives the kind of each layer",
    "offloaded_hybrid": "transformers has deprecated it and derives the kind of each layer",
    "offloaded_hybrid_chunked": "transformers has deprecated it and derives the kind of each layer",
    "mamba": "transformers refuses it with a ValueError; state-space models have their own cache",
    "paged": "it belongs to continuous batching; set pytorch.batching: continuous",
}


def _known_cache(value: Any) -> Any:
    if isinstance(value, str) and value in _GONE_CACHES:
        raise ValueError(
            f"is {value!r}: {_GONE_CACHES[value]}; use static, offloaded_static, dynamic, offloaded or quantized"
        )
    return value


_NOT_CONTINUOUS = (
    ("beams", When("pytorch.num_beams", "above", 1), "generate_batch has no beam search"),
    ("prompt-lookup", When("pytorch.prompt_lookup_num_tokens", "set", True), "generate_batch has no assisted decoding"),
    ("assistant", When("pytorch.assistant_model", "set", True), "generate_batch has no assisted decoding"),
    ("no-cache", When("pytorch.use_cache", "is", False), "its cache is paged and always on"),
    ("cache", When("pytorch.cache_implementation", "set", True), "its cache is paged"),
    (
        "prefill-chunks",
        When("pytorch.prefill_chunk_size", "set", True),
        "its scheduler decides how prompts are split",
    ),
    ("compile", When("pytorch.torch_compile", "is", True), "generate_batch does not call the compiled code"),
    ("compile-config", When("pytorch.compile_config", "set", True), "it has its own settings for compilation"),
    ("ngrams", When("pytorch.no_repeat_ngram_size", "above", 0), "generate_batch ignores it"),
    ("min-tokens", When("decoder.min_new_tokens", "set", True), "generate_batch ignores it"),
    ("tensor-parallel", When("pytorch.tp_size", "above", 1), "the combination is not supported"),
    ("inference-mode", When("pytorch.inference_mode", "is", True), "it generates in a thread with its own mode"),
)


class GenerationSettings(Config):
    """Batches, cache and search."""

    batch_size: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="runtime",
            keyword="rows of input_ids",
            level="generation",
            library_default=1,
            evidence="batch_size",
            test_values=(1, 2, 4),
        ),
    ] = None
    """Prompts per batch, left-padded to the longest; with continuous batching, the maximum."""

    batching: Annotated[
        Literal["static", "continuous"] | None,
        parameter(
            target="runtime",
            keyword="generate_batch",
            level="generation",
            library_default="static",
            evidence="batching",
            relations=tuple(
                excludes(
                    other,
                    rule=f"continuous-excludes-{name}",
                    because=because,
                    fix="set pytorch.batching: static or remove the other setting",
                    neutral=("static",),
                )
                for name, other, because in _NOT_CONTINUOUS
            ),
            test_values=("static", "continuous"),
        ),
    ] = None
    """static: `generate`, a batch runs until its last prompt is done; continuous: `generate_batch`, a finished prompt
    makes room for the next, and the cache is paged."""

    use_cache: Annotated[
        bool | None,
        parameter(
            target="generate",
            keyword="use_cache",
            level="generation",
            library_default=True,
            evidence="cache_used",
            test_values=(True, False),
        ),
    ] = None
    """Keep keys and values of earlier tokens. Without the cache every step computes the whole sequence again."""

    cache_implementation: Annotated[
        CacheImplementation | None,
        BeforeValidator(_known_cache, json_schema_input_type=CacheImplementation | None),
        parameter(
            target="generate",
            keyword="cache_implementation",
            level="generation",
            library_default=LibraryChoice("dynamic"),
            evidence="cache_class",
            relations=(
                needs(
                    When("pytorch.use_cache", "is", True),
                    rule="cache-implementation-needs-cache",
                    because="transformers ignores it and only logs a warning",
                    fix="remove one of the two settings",
                ),
            ),
            requires=(
                Requirement(cuda_capability=(0, 0), values=("offloaded", "offloaded_static")),
                Requirement(package="optimum.quanto", values=("quantized",)),
                # transformers compiles the decoding step over it.
                Requirement(compiler="on a GPU", values=("static", "sliding_window")),
            ),
            test_values=("static", "offloaded_static", "dynamic", "offloaded", "quantized"),
        ),
    ] = None
    """The kind of key-value cache. `sliding_window` is deprecated and gives a static cache."""

    num_beams: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="generate",
            keyword="num_beams",
            level="generation",
            library_default=1,
            evidence="beams",
            relations=(
                excludes(
                    When("decoder.do_sample", "is", True),
                    rule="beams-with-sampling",
                    because="beams are then sampled, which is not pure beam search",
                    fix="set decoder.do_sample: false for beam search",
                    severity="warning",
                    neutral=(1,),
                ),
            ),
            test_values=(1, 2, 4),
            decoding=("beam_search", "beam_sampling"),
        ),
    ] = None
    """Width of the beam search; each beam holds its own key-value cache, so memory grows with it."""

    early_stopping: Annotated[
        bool | Literal["never"] | None,
        parameter(
            target="generate",
            keyword="early_stopping",
            level="generation",
            library_default=False,
            evidence="early_stopping",
            relations=(
                needs(
                    When("pytorch.num_beams", "above", 1),
                    rule="early-stopping-needs-beams",
                    because="transformers ignores it and only logs a warning",
                    fix="set pytorch.num_beams to 2 or more, or remove this setting",
                    neutral=(False,),
                ),
                excludes(
                    When("fixed_output", "is", True),
                    rule="early-stopping-fixed-output",
                    because="with fixed_output no beam ends early",
                    fix="set fixed_output: false to see its effect",
                    severity="warning",
                    neutral=(False,),
                ),
            ),
            test_values=(True, False, "never"),
        ),
    ] = None
    """When a beam search ends: at enough finished beams (true), by a heuristic (false), or never early ("never")."""

    length_penalty: Annotated[
        float | None,
        parameter(
            target="generate",
            keyword="length_penalty",
            level="generation",
            library_default=1.0,
            evidence="length_penalty",
            relations=(
                needs(
                    When("pytorch.num_beams", "above", 1),
                    rule="length-penalty-needs-beams",
                    because="transformers ignores it and only logs a warning",
                    fix="set pytorch.num_beams to 2 or more, or remove this setting",
                    neutral=(1.0,),
                ),
                excludes(
                    When("fixed_output", "is", True),
                    rule="length-penalty-fixed-output",
                    because="with fixed_output all beams have the same length",
                    fix="set fixed_output: false to see its effect",
                    severity="warning",
                    neutral=(1.0,),
                ),
            ),
            test_values=(0.5, 1.0, 2.0),
        ),
    ] = None
    """Exponent on the length in the score of a beam; above 0 favours longer beams, below 0 shorter ones."""

    prefill_chunk_size: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="generate",
            keyword="prefill_chunk_size",
            level="generation",
            library_default=LibraryChoice("the whole prompt at once"),
            evidence="prefill_chunks",
            relations=(
                needs(
                    When("pytorch.use_cache", "is", True),
                    rule="prefill-chunks-need-cache",
                    because="earlier chunks are kept in the cache",
                    fix="remove one of the two settings",
                ),
                *(
                    excludes(
                        When(f"pytorch.{assisted}", "set", True),
                        rule=f"prefill-chunks-exclude-{name}",
                        because="assisted decoding in transformers processes the prompt at once and ignores it",
                        fix="remove one of the two settings",
                    )
                    for name, assisted in (
                        ("prompt-lookup", "prompt_lookup_num_tokens"),
                        ("assistant", "assistant_model"),
                    )
                ),
            ),
            test_values=(4, 16),
        ),
    ] = None
    """The prompt is processed in chunks of this many tokens, which limits the memory of prefill."""

    no_repeat_ngram_size: Annotated[
        int | None,
        Field(ge=0),
        parameter(
            target="generate",
            keyword="no_repeat_ngram_size",
            level="generation",
            library_default=0,
            evidence="ngrams",
            test_values=(0, 3),
        ),
    ] = None
    """No run of this many tokens occurs twice in an output; 0 is off."""
