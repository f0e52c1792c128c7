"""A tiny random Llama, made once, and a way to run any experiment on it in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import QUICK, TINY

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.rules.checked import UNCHECKED
from llenergymeasure.config.settings.parameter import LibraryChoice
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import leaves
from llenergymeasure.config.settings.sources import sources_from_intent
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.engine.evidence import Observation, collect, observe
from llenergymeasure.engine.generation.generation import Generator
from llenergymeasure.engine.generation.generators import generator_for
from llenergymeasure.engine.loading.load import LoadedModel, Source, Sources, load_model
from llenergymeasure.engine.loading.weight_storage import LayerStorage
from llenergymeasure.models.snapshot import Snapshot, materialise

PROMPTS = ["A short one.", "A prompt that is quite a bit longer than that.", "Third"]
ADAPTER = "ADAPTER"


@dataclass
class Run:
    """An experiment that was loaded and generated once."""

    config: ExperimentConfig
    loaded: LoadedModel
    generator: Generator
    observation: Observation

    @property
    def outputs(self) -> list[tuple[int, ...]]:
        assert self.observation.generated is not None
        return [row.output_ids for row in self.observation.generated.rows]

    @property
    def evidence(self) -> dict[str, dict[str, Any]]:
        return collect(self.config, self.observation)


class Runner:
    """`run(pytorch={...}, decoder={...})`: the quick experiment with these settings."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._snapshots: dict[tuple[str, str], Snapshot] = {}

    def __call__(
        self, prompts: list[str] = PROMPTS, *, model: str = TINY, lost: str | None = None, **settings: Any
    ) -> Run:
        """`lost` is a path whose setting the run must not see."""
        config = self.config_of(model=model, **settings)
        if lost is not None:
            config = without(config, lost)
        snapshots = {
            source.role: self._made(source.role, source.name) for source in sources_from_intent(config.model_dump())
        }
        threads = torch.get_num_threads()
        torch.manual_seed(12345)
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        loaded = load_model(config, Sources(**{role: Source(item.path) for role, item in snapshots.items()}))
        ids = [loaded.tokenizer(text)["input_ids"][: config.max_input_tokens] for text in prompts]
        generator = generator_for(config, loaded, ids)
        observation = Observation(loaded=loaded, snapshots=snapshots, fixed_output=config.fixed_output)
        observe(observation, generator)
        observation.replicas = [observation.replica()]
        torch.set_num_threads(threads)
        generator.close()
        return Run(config, loaded, generator, observation)

    def config_of(self, *, model: str = TINY, **settings: Any) -> ExperimentConfig:
        settings = {**QUICK["defaults"], "model": model, "max_output_tokens": 8, **settings}
        if settings.get("pytorch", {}).get("adapter") == ADAPTER:
            settings["pytorch"] = {**settings["pytorch"], "adapter": self._adapter(model)}
        return ExperimentConfig.model_validate(settings)

    def snapshot(self, model: str = TINY) -> Snapshot:
        """Where a model's files are."""
        return self._made("model", model)

    def _made(self, role: str, name: str) -> Snapshot:
        if (role, name) not in self._snapshots:
            folder = self._folder / f"{role}-{len(self._snapshots)}"
            self._snapshots[role, name] = materialise(
                sources_ref(name), None, folder, lock=ModelsLock(), is_adapter=role == "adapter"
            )
        return self._snapshots[role, name]

    def _adapter(self, model: str) -> str:
        """A LoRA adapter of rank 4 for the model, with matrices that change its answers."""
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        folder = self._folder / "lora"
        if not folder.exists():
            base = AutoModelForCausalLM.from_pretrained(self._made("model", model).path)
            torch.manual_seed(1)
            adapted = get_peft_model(
                base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
            )
            adapted.save_pretrained(folder)
        return str(folder)


def assert_narrow(
    layers: Sequence[LayerStorage], *, number: int, code_bits: float, stored_bits: tuple[float, float]
) -> None:
    """So many layers have codes of that width, and the output head of 16 bits. stored_bits: least and most, the mean"""
    narrow = [layer for layer in layers if layer.name != "lm_head"]
    assert len(narrow) == number
    assert {round(layer.code_bits, 2) for layer in narrow} == {code_bits}
    weights = sum(layer.weights for layer in narrow)
    least, most = stored_bits
    assert least <= sum(layer.stored_bits * layer.weights for layer in narrow) / weights <= most
    assert [layer.code_bits for layer in layers if layer.name == "lm_head"] == [16]


def sources_ref(name: str) -> Any:
    from llenergymeasure.config.settings.model_ref import parse_model_ref

    return parse_model_ref(name)


def without(config: ExperimentConfig, path: str) -> ExperimentConfig:
    """The experiment as if that setting had been lost on the way: not passed on, the rules unasked."""
    settings = config.model_dump(mode="python")
    section, _, name = path.rpartition(".")
    library, value = parameters()[path].library_default, leaves()[path].default
    if value is not None and not isinstance(library, LibraryChoice):
        value = library
    (settings[section] if section else settings)[name] = value
    return ExperimentConfig.model_validate(settings, context=UNCHECKED)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(tmp_path_factory.mktemp("models"))
