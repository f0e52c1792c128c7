"""Random valid configurations, drawn from the declarations: a parameter that is declared later is drawn as well.

A configuration sets a few parameters at once, to values its declaration calls worth trying. What the project's own
validation refuses is thrown away. Of several valid candidates the one is taken that sets the most pairs of parameters
which were not yet set together, so that few configurations try most combinations (greedy pairwise covering).
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from llenergymeasure.config import ExperimentConfig, introspection
from llenergymeasure.config.settings.parameter import same_as_any
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import leaves
from llenergymeasure.config.settings.type_words import options
from llenergymeasure.config.study.build import build
from llenergymeasure.engine.check import check_experiment

Settings = Mapping[str, Any]
Pair = frozenset[str]
AT_ONCE = 5
CANDIDATES = 10
LEAST = 5
# Tries before a pair of parameters counts as one that no valid configuration sets together.
TRIES = 40
# Settings of ours that change what generation does, and how often they are drawn beside the library's parameters.
SWITCHES = {"fixed_output": 0.4, "decoder.preset": 0.15}
# What is set in every configuration: as little work as shows an effect.
PLAIN: Settings = {
    "precision": "fp32",
    "cpu_threads": 1,
    "n_prompts": 3,
    "max_input_tokens": 64,
    "max_output_tokens": 12,
}


@dataclass(frozen=True)
class Quota:
    """At most `most` configurations a model for which `counts` holds, because they take long or need more.

    Once there are as many, `instead` says what a draw that counts is changed to; without it, it is thrown away.
    """

    counts: Callable[[Settings], bool]
    most: int
    instead: Callable[[Settings], Settings] | None = None


@dataclass(frozen=True)
class Drawn:
    """A valid configuration: `settings` is what was drawn for it, `config` all of it."""

    settings: Settings
    config: ExperimentConfig

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset(self.settings) & frozenset(choices())


@cache
def choices() -> Mapping[str, tuple[Any, ...]]:
    """Dotted path → the values to draw from, for every parameter that declares some or is limited to some."""
    values_by_path: dict[str, tuple[Any, ...]] = {}
    for path in introspection.get_all_params():
        tried, limited = introspection.get_param_test_values(path), introspection.get_param_options(path) or []
        values_by_path[path] = (*tried, *(value for value in limited if not same_as_any(value, tried)))
    return {path: values for path, values in values_by_path.items() if values}


def valid(settings: Settings) -> ExperimentConfig | None:
    """The configuration, or None where the rules or the installed libraries refuse it before anything is loaded."""
    config, _ = build({**PLAIN, **settings})
    if config is None or any(problem.severity == "error" for problem in check_experiment(config)):
        return None
    return config


@dataclass
class Sampler:
    """Draws for the models in turn. The same seed, models and quotas give the same configurations."""

    seed: int
    models: Sequence[str]
    quotas: Sequence[Quota] = ()
    drawn: list[Drawn] = field(default_factory=list)
    uncovered: set[Pair] = field(init=False)
    impossible: set[Pair] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._parameters: Counter[str] = Counter()
        self._values: Counter[tuple[str, str]] = Counter()
        self._possible: set[Pair] = set()
        self.uncovered = {frozenset(pair) for pair in itertools.combinations(choices(), 2)}

    def draw(self, count: int) -> list[Drawn]:
        """`count` more configurations."""
        return [self._next() for _ in range(count)]

    def _next(self) -> Drawn:
        model = self.models[len(self.drawn) % len(self.models)]
        while True:
            # Every second one starts from no pair: the pairs that are left may all be beyond a quota.
            candidates = [
                self._candidate(model, self._new_pair(model) if place % 2 else frozenset())
                for place in range(CANDIDATES)
            ]
            affordable = [settings for item in candidates if (settings := self._within_quotas(item)) is not None]
            for settings in sorted(affordable, key=self._worth, reverse=True):
                config = valid(settings)
                if config is not None:
                    configuration = Drawn(settings, config)
                    self._note(configuration)
                    return configuration

    def _worth(self, settings: Settings) -> int:
        """Pairs that would be new, and parameters that were not yet set often enough."""
        return sum(pair in self.uncovered for pair in _pairs(settings)) + sum(
            AT_ONCE * (self._parameters[path] < LEAST) for path in settings if path in choices()
        )

    def _note(self, configuration: Drawn) -> None:
        self.drawn.append(configuration)
        self.uncovered.difference_update(_pairs(configuration.settings))
        for path in configuration.parameters:
            self._parameters[path] += 1
            self._values[path, repr(configuration.settings[path])] += 1

    def _within_quotas(self, settings: Settings) -> Settings | None:
        earlier = [item.settings for item in self.drawn if item.settings["model"] == settings["model"]]
        for quota in self.quotas:
            if quota.counts(settings) and sum(map(quota.counts, earlier)) >= quota.most:
                if quota.instead is None:
                    return None
                settings = quota.instead(settings)
        return settings

    def _candidate(self, model: str, pair: Pair) -> dict[str, Any]:
        """The pair, a few parameters more, and what they declare to need."""
        size = self._random.randint(1, AT_ONCE)
        more = self._random.sample(sorted(choices()), max(0, size - len(pair)))
        return self._filled(model, [*sorted(pair), *more])

    def _new_pair(self, model: str) -> Pair:
        """Some pair that some valid configuration can set, and none has."""
        for pair in self._random.sample(sorted(self.uncovered, key=sorted), min(4, len(self.uncovered))):
            if self._can_be_set(pair, model):
                return pair
        return frozenset()

    def _can_be_set(self, pair: Pair, model: str) -> bool:
        if pair not in self._possible | self.impossible:
            tries = (self._filled(model, sorted(pair)) for _ in range(TRIES))
            possible = any(valid(settings) is not None for settings in tries)
            (self._possible if possible else self.impossible).add(pair)
            self.uncovered -= self.impossible
        return pair in self._possible

    def _filled(self, model: str, paths: Sequence[str]) -> dict[str, Any]:
        """Values for these parameters and for those they need; rare values first, else chance decides."""
        settings: dict[str, Any] = {"model": model}
        for path, share in SWITCHES.items():
            if self._random.random() < share:
                settings[path] = self._random.choice(_others(path))
        for path in paths:
            self._set(settings, path, lambda _: True)
        return settings

    def _set(self, settings: dict[str, Any], path: str, fits: Callable[[Any], bool]) -> None:
        possible = [value for value in choices().get(path, _others(path)) if fits(value)]
        if not possible or (path in settings and fits(settings[path])):
            return
        settings[path] = min(possible, key=lambda value: (1 + self._values[path, repr(value)]) * self._random.random())
        for other, holds in _needs(path, settings[path]):
            # A default that holds needs no setting.
            if not holds(settings.get(other, parameters()[other].effective_default if other in parameters() else None)):
                self._set(settings, other, holds)


def _others(path: str) -> list[Any]:
    """The values of a switch that are not its default."""
    leaf = leaves()[path]
    return [value for value in options(leaf.field) or () if value != leaf.default]


def _needs(path: str, value: Any) -> Iterator[tuple[str, Callable[[Any], bool]]]:
    """What must hold of another parameter for this value, as it is declared."""
    for relation in parameters()[path].relations:
        if relation.kind == "needs" and relation.severity == "error" and value not in relation.neutral:
            yield relation.other.path, relation.other.holds


def _pairs(settings: Settings) -> set[Pair]:
    return {frozenset(pair) for pair in itertools.combinations(sorted(set(settings) & set(choices())), 2)}
