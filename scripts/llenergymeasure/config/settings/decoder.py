"""How tokens are chosen, the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.parameter import LibraryChoice, Relation, When, excludes, needs, parameter

Preset = Literal["deterministic", "standard", "creative", "factual"]

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "deterministic": {"do_sample": False},
    "standard": {"do_sample": True, "temperature": 1.0, "top_k": 50, "top_p": 0.95},
    "creative": {"do_sample": True, "temperature": 1.2, "top_k": 100, "top_p": 0.95, "repetition_penalty": 1.1},
    "factual": {"do_sample": True, "temperature": 0.3, "top_k": 20, "top_p": 0.9},
}


def expand_preset(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the values of their preset filled in; given keys override it. An unknown one adds nothing."""
    preset = settings.get("preset")
    values = PRESETS.get(preset, {}) if isinstance(preset, str) else {}
    return {**values, **settings}


def _sampling_only(*neutral: Any) -> tuple[Relation, ...]:
    return (
        needs(
            When("decoder.do_sample", "is", True),
            rule="sampler-needs-sampling",
            because="greedy decoding ignores it",
            fix="set decoder.do_sample: true or remove this setting",
            neutral=neutral,
        ),
    )


class DecoderSettings(Config):
    """Decoding settings. The defaults are plain sampling with the usual 50 candidates."""

    preset: Preset | None = None
    """A named set of values for the keys below; given keys override it. Not part of the experiment's id."""

    temperature: Annotated[
        float,
        Field(ge=0.0),
        parameter(
            target="generate",
            keyword="temperature",
            level="generation",
            library_default=1.0,
            evidence="temperature",
            # Many write 0 for "greedy": it has its own rule.
            relations=_sampling_only(1.0, 0.0),
            test_values=(0.7, 1.0),
        ),
    ] = 1.0
    """Divides the logits before sampling; below 1 sharpens the distribution."""

    do_sample: Annotated[
        bool,
        parameter(
            target="generate",
            keyword="do_sample",
            level="generation",
            library_default=False,
            evidence="do_sample",
            test_values=(True, False),
            decoding=("greedy", "sampling"),
        ),
    ] = True
    """Draw tokens at random (true) or always take the most likely one (false)."""

    top_k: Annotated[
        int,
        Field(ge=0),
        parameter(
            target="generate",
            keyword="top_k",
            level="generation",
            library_default=50,
            evidence="top_k",
            relations=_sampling_only(50),
            test_values=(0, 10, 50),
        ),
    ] = 50
    """Sample from this many of the most likely tokens; 0 means from all."""

    top_p: Annotated[
        float,
        Field(ge=0.0, le=1.0),
        parameter(
            target="generate",
            keyword="top_p",
            level="generation",
            library_default=1.0,
            evidence="top_p",
            relations=_sampling_only(1.0),
            test_values=(0.9, 1.0),
        ),
    ] = 1.0
    """Sample from the fewest tokens whose probabilities reach this sum."""

    min_p: Annotated[
        float | None,
        Field(ge=0.0, le=1.0),
        parameter(
            target="generate",
            keyword="min_p",
            level="generation",
            library_default=LibraryChoice("no such filter"),
            evidence="min_p",
            relations=(
                needs(
                    When("decoder.do_sample", "is", True),
                    rule="min-p-needs-sampling",
                    because="transformers ignores it and only logs a warning",
                    fix="set decoder.do_sample: true or remove this setting",
                ),
            ),
            test_values=(0.05, 0.1),
        ),
    ] = None
    """Sample only from tokens with at least this share of the most likely token's probability."""

    typical_p: Annotated[
        float | None,
        Field(gt=0.0, le=1.0),
        parameter(
            target="generate",
            keyword="typical_p",
            level="generation",
            library_default=1.0,
            evidence="typical_p",
            relations=_sampling_only(1.0),
            test_values=(0.9, 1.0),
        ),
    ] = None
    """Sample from the tokens whose information is nearest to the expected one, up to this sum of probabilities
    (locally typical sampling, arXiv 2202.00666)."""

    top_h: Annotated[
        float | None,
        Field(gt=0.0, le=1.0),
        parameter(
            target="generate",
            keyword="top_h",
            level="generation",
            library_default=LibraryChoice("no such filter"),
            evidence="top_h",
            relations=_sampling_only(),
            test_values=(0.4, 0.8),
        ),
    ] = None
    """Sample from the most likely tokens whose entropy stays below this share of the whole distribution's
    (arXiv 2509.02510)."""

    repetition_penalty: Annotated[
        float,
        Field(gt=0.0),
        parameter(
            target="generate",
            keyword="repetition_penalty",
            level="generation",
            library_default=1.0,
            evidence="repetition_penalty",
            relations=(
                excludes(
                    When("pytorch.batching", "is", "continuous"),
                    rule="continuous-excludes-repetition-penalty",
                    because="generate_batch ignores it",
                    fix="set pytorch.batching: static or remove this setting",
                    neutral=(1.0,),
                ),
            ),
            test_values=(1.0, 1.1),
        ),
    ] = 1.0
    """Divides the logits of tokens that occurred before; 1 is off."""

    min_new_tokens: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="generate",
            keyword="min_new_tokens",
            level="generation",
            library_default=LibraryChoice("no minimum length"),
            evidence="min_new_tokens",
            test_values=(8,),
        ),
    ] = None
    """The minimum number of output tokens; the end-of-sequence token is suppressed until then."""

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, data: Any) -> Any:
        return expand_preset(data) if isinstance(data, Mapping) else data
