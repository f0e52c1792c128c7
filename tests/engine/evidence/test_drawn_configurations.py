"""The random configurations are the same every time, valid, and try every parameter and nearly every pair of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from engine.evidence.random_configurations import LEAST, PLAIN, Quota, Sampler, Settings, choices

from llenergymeasure.config import introspection
from llenergymeasure.config.settings.setting_paths import flatten
from llenergymeasure.config.study.build import build
from llenergymeasure.engine.check import check_experiment

MODELS = ("random:llama", "random:mamba")


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    full = Sampler(5, MODELS)
    full.draw(300)
    return full


def _settings(seed: int, count: int, **more: Any) -> list[Settings]:
    return [item.settings for item in Sampler(seed, MODELS, **more).draw(count)]


def test_a_seed_gives_the_same_configurations(sampler: Sampler) -> None:
    first = [item.settings for item in sampler.drawn[:40]]
    assert _settings(5, 40) == first
    assert _settings(6, 40) != first


def test_every_configuration_is_valid_and_holds_what_was_drawn(sampler: Sampler) -> None:
    for item in sampler.drawn:
        config, problems = build({**PLAIN, **item.settings})
        problems = [*problems, *check_experiment(item.config)]
        assert config == item.config
        assert not [problem for problem in problems if problem.severity == "error"], item.settings
        assert flatten(item.config).items() >= item.settings.items()


def test_the_models_take_turns(sampler: Sampler) -> None:
    assert [item.config.model for item in sampler.drawn[:4]] == [*MODELS, *MODELS]


def test_whatever_is_declared_with_values_is_drawn(sampler: Sampler) -> None:
    declared = {
        path
        for path in introspection.get_all_params()
        if introspection.get_param_test_values(path) or introspection.get_param_options(path)
    }
    drawn = Counter(path for item in sampler.drawn for path in item.parameters)
    assert {path for path in declared if drawn[path] < LEAST} == set()


def test_every_value_worth_trying_is_drawn_where_it_is_valid(sampler: Sampler) -> None:
    drawn = {(path, repr(item.settings[path])) for item in sampler.drawn for path in item.parameters}
    missing = {(path, repr(value)) for path, values in choices().items() for value in values} - drawn
    assert len(missing) <= len(drawn) / 20, missing


def test_nearly_every_pair_that_can_be_set_together_is(sampler: Sampler) -> None:
    pairs = len(choices()) * (len(choices()) - 1) / 2
    assert len(sampler.uncovered) <= pairs / 20, sampler.uncovered
    assert len(sampler.impossible) <= pairs / 5, sampler.impossible


def test_a_pair_that_excludes_each_other_counts_as_impossible(sampler: Sampler) -> None:
    assert frozenset({"pytorch.prefill_chunk_size", "pytorch.prompt_lookup_num_tokens"}) in sampler.impossible


def test_a_quota_is_kept_and_what_it_leaves_is_still_drawn() -> None:
    def uncached(settings: Settings) -> bool:
        return settings.get("pytorch.use_cache") is False

    def compiled(settings: Settings) -> bool:
        return settings.get("pytorch.torch_compile") is True

    def with_cache(settings: Settings) -> Settings:
        return {**settings, "pytorch.use_cache": True}

    drawn = _settings(5, 120, quotas=(Quota(compiled, most=2), Quota(uncached, most=1, instead=with_cache)))
    assert len(drawn) == 120
    for model in MODELS:
        mine = [settings for settings in drawn if settings["model"] == model]
        assert sum(map(compiled, mine)) == 2
        assert sum(map(uncached, mine)) == 1
    assert Counter(settings.get("pytorch.use_cache") for settings in drawn)[True] >= LEAST
