"""A tiny random Llama, made once, and a way to run any experiment on it in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness import QUICK, TINY

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.lock import ModelsLock
from llenergymeasure.config.model_ref import parse_model_ref
from llenergymeasure.engine.evidence import Observation, collect, observe
from llenergymeasure.engine.generation import Generator
from llenergymeasure.engine.generators import generator_for
from llenergymeasure.engine.load import LoadedModel, Source, Sources, load_model
from llenergymeasure.models.snapshot import materialise, read_snapshot

PROMPTS = ["A short one.", "A prompt that is quite a bit longer than that.", "Third"]


@dataclass
class Run:
    """An experiment that was loaded and generated once."""

    config: ExperimentConfig
    loaded: LoadedModel
    generator: Generator
    seen: Observation

    @property
    def outputs(self) -> list[tuple[int, ...]]:
        assert self.seen.generated is not None
        return [row.output_ids for row in self.seen.generated.rows]

    @property
    def evidence(self) -> dict[str, dict[str, Any]]:
        return collect(self.config, self.seen)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return materialise(parse_model_ref(TINY), None, tmp_path_factory.mktemp("models") / "tiny", lock=ModelsLock()).path


@pytest.fixture
def run(tiny: Path) -> Callable[..., Run]:
    """`run(pytorch={...}, decoder={...})`: the quick experiment with these settings."""

    def run_experiment(prompts: list[str] = PROMPTS, **settings: Any) -> Run:
        snapshot = read_snapshot(tiny)
        config = ExperimentConfig.model_validate({**QUICK["defaults"], "max_output_tokens": 8, **settings})
        loaded = load_model(config, Sources(Source(tiny)))
        ids = [loaded.tokenizer(text)["input_ids"] for text in prompts]
        generator = generator_for(config, loaded, ids)
        seen = Observation(loaded=loaded, snapshots={"model": snapshot}, fixed_output=config.fixed_output)
        observe(seen, generator)
        generator.close()
        return Run(config, loaded, generator, seen)

    return run_experiment
