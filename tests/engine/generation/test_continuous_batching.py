"""Continuous batching with the option names of the installed library, and what it does to the attention."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from engine.conftest import Runner

from llenergymeasure.engine.evidence import collect
from llenergymeasure.engine.generation import keywords
from llenergymeasure.engine.generation.keywords import continuous_options, page_option

ASKED = {"batching": "continuous", "attn_implementation": "sdpa"}


@dataclass
class Older:
    """Options of `ContinuousBatchingConfig` in transformers 5.17."""

    block_size: int = 256
    max_requests_per_batch: int | None = None


@dataclass
class Newer:
    """Options in transformers 5.23."""

    page_size: int = 256
    max_requests_per_batch: int | None = None
    auto_switch_to_flash: bool = True


@pytest.mark.parametrize(
    ("library", "page", "options"),
    [(Older, "block_size", {}), (Newer, "page_size", {"auto_switch_to_flash": False})],
    ids=["5.17", "5.23"],
)
def test_the_options_have_the_names_of_the_installed_library(
    run: Runner, library: type, page: str, options: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keywords, "ContinuousBatchingConfig", library)
    assert page_option() == page
    given = continuous_options(run.config_of(pytorch={**ASKED, "batch_size": 2}))
    assert given == {"max_requests_per_batch": 2, **options}


def test_an_attention_that_the_library_takes_instead_is_seen(run: Runner) -> None:
    """It puts the model's own back when its manager ends, so the one in between is what counts."""
    done = run(pytorch=ASKED)
    assert done.observation.generated is not None
    assert done.observation.generated.attention in ("sdpa", "paged|sdpa")
    assert done.evidence["pytorch.attn_implementation"]["verdict"] == "applied"
    done.observation.generated.attention = "flash_attention_2"
    entry = collect(done.config, done.observation)["pytorch.attn_implementation"]
    assert (entry["verdict"], entry["effective"]) == ("ignored", "flash_attention_2")
