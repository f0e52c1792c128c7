"""Speculative decoding: tokens are drafted and then checked, several in one step."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.model_ref import model_name
from llenergymeasure.config.settings.parameter import LibraryChoice, Relation, When, excludes, needs, parameter
from llenergymeasure.config.settings.pytorch.generation import STATIC_CACHES

GREEDY_OR_SAMPLING = When("pytorch.num_beams", "is", 1)


def _speculative(name: str) -> tuple[Relation, ...]:
    """What assisted generation in transformers requires."""
    return (
        needs(
            When("pytorch.batch_size", "is", 1),
            rule=f"{name}-needs-single-batch",
            because="transformers refuses assisted generation for more than one prompt at a time",
            fix="set pytorch.batch_size: 1 or remove this setting",
        ),
        needs(
            GREEDY_OR_SAMPLING,
            rule=f"{name}-excludes-beams",
            because="transformers runs the beam search and ignores the drafted tokens",
            fix="remove one of the two settings",
        ),
        needs(
            When("pytorch.use_cache", "is", True),
            rule=f"{name}-needs-cache",
            because="transformers refuses assisted generation without a cache",
            fix="remove one of the two settings",
        ),
        excludes(
            When("pytorch.cache_implementation", "one of", STATIC_CACHES),
            rule=f"{name}-excludes-static-cache",
            because="transformers refuses assisted generation with a static cache",
            fix="use a dynamic cache or remove this setting",
        ),
    )


def _model(text: str | None) -> str | None:
    return None if text is None else model_name(text)


class SpeculationSettings(Config):
    """Speculative decoding."""

    prompt_lookup_num_tokens: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="generate",
            keyword="prompt_lookup_num_tokens",
            level="generation",
            library_default=LibraryChoice("no prompt lookup"),
            evidence="prompt_lookup",
            relations=_speculative("prompt-lookup"),
            test_values=(3, 10),
            decoding=("prompt_lookup",),
        ),
    ] = None
    """Speculative decoding without a draft model: this many tokens are drafted by looking up the prompt."""

    assistant_model: Annotated[
        str | None,
        AfterValidator(_model),
        parameter(
            target="generate",
            keyword="assistant_model",
            level="setup",
            library_default=LibraryChoice("no draft model"),
            evidence="assistant",
            relations=(
                *_speculative("assistant"),
                excludes(
                    When("pytorch.prompt_lookup_num_tokens", "set", True),
                    rule="assistant-or-prompt-lookup",
                    because="transformers uses the draft model and ignores the lookup",
                    fix="keep one of the two settings",
                ),
            ),
            untried="needs a draft model that fits the model",
            decoding=("assisted",),
        ),
    ] = None
    """A smaller model that drafts tokens for the model to check: a name as in `model`, pinned and verified in the same
    way, loaded with the same number format on the same devices."""

    assistant_revision: Annotated[
        str | None,
        Field(min_length=1),
        parameter(
            target="runtime",
            keyword="revision of the draft model",
            level="setup",
            library_default=LibraryChoice("main, pinned by the lock file to a commit"),
            evidence="assistant_revision",
            relations=(
                needs(
                    When("pytorch.assistant_model", "set", True),
                    rule="assistant-revision-needs-assistant",
                    because="there is no draft model for that revision",
                    fix="name the draft model or remove this setting",
                ),
            ),
            untried="needs a draft model that has revisions",
        ),
    ] = None
    """Branch, tag or commit of a draft model on a hub; the version of a package."""
