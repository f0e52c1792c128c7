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
from llenergymeasure.engine.batches import make_batches
from llenergymeasure.engine.evidence import Observation, collect, observe
from llenergymeasure.engine.generation import Generator
from llenergymeasure.engine.keywords import eos_token_ids, generate_keywords, pad_token
from llenergymeasure.engine.load import LoadedModel, load_model
from llenergymeasure.models.snapshot import materialise

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
        return [row.output_ids for row in self.seen.rows]

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
        config = ExperimentConfig.model_validate({**QUICK["defaults"], "max_output_tokens": 8, **settings})
        loaded = load_model(config, tiny, has_code=False)
        pad = pad_token(loaded.tokenizer)
        ids = [loaded.tokenizer(text)["input_ids"] for text in prompts]
        generator = Generator(
            model=loaded.model,
            devices=loaded.devices,
            batches=make_batches(ids, config.pytorch.batch_size or 1, pad, loaded.input_device),
            keywords=generate_keywords(config, pad_token_id=pad),
            seed=config.random_seed,
            max_new_tokens=config.max_output_tokens,
            eos_token_ids=eos_token_ids(loaded.model, fixed_output=config.fixed_output),
        )
        seen = Observation(loaded=loaded, revision=None, has_code=False, fixed_output=config.fixed_output)
        observe(seen, generator)
        return Run(config, loaded, generator, seen)

    return run_experiment
