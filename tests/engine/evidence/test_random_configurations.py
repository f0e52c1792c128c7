"""Random valid configurations on six architectures: each runs with all settings in force, or a library says why not."""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.cases import undone_here
from engine.conftest import Runner
from engine.evidence.random_configurations import Drawn, Quota, Sampler, Settings

import llenergymeasure
from llenergymeasure.engine.failure import ExperimentFailure

SEED = 11
EACH = 50
# Fewer would mean that the test runs little of what it draws. Mamba has no key-value cache, no attention and no layers
# that bitsandbytes packs to 4 bits, so the libraries refuse more of it.
LEAST_SHARE = 0.6
LEAST_SHARE_OF = {"mamba": 0.4}
# The keys of a token are 64 values: a quantized cache packs groups of 64.
SIZES = (
    "hidden_size=32&intermediate_size=64&num_hidden_layers=2&num_attention_heads=2&num_key_value_heads=1"
    "&vocab_size=300&max_position_embeddings=512"
)
# A window shorter than the prompts, so that it is at work.
WINDOW = "head_dim=16&sliding_window=8"
MODELS = {
    "llama": f"random:llama?{SIZES}&head_dim=64",
    "gpt2": "random:gpt2?n_embd=64&n_layer=2&n_head=2&vocab_size=300&n_positions=512",
    "qwen3": f"random:qwen3?{SIZES}&head_dim=64",
    "mistral": f"random:mistral?{SIZES}&{WINDOW}",
    "gemma2": f"random:gemma2?{SIZES}&{WINDOW}",
    "mamba": "random:mamba?hidden_size=32&num_hidden_layers=2&vocab_size=300&state_size=8",
}


def _compiles(settings: Settings) -> bool:
    return settings.get("pytorch.torch_compile") is True


def _generates_code(settings: Settings) -> bool:
    """Inductor takes half a minute for each; test_compiled runs it. The eager backend compiles as far as the graph."""
    return _compiles(settings) and settings.get("pytorch.torch_compile_backend") != "eager"


def _has_company(settings: Settings) -> bool:
    """Several processes; this test is one. test_replicas runs them."""
    return settings.get("pytorch.num_processes", 1) > 1 or settings.get("pytorch.tp_size", 1) > 1


def _left_plain(settings: Settings) -> set[str]:
    """quanto and torchao skip the Conv1D of GPT-2, bitsandbytes packs it; test_quantizers sees both."""
    asked = settings.get("pytorch.quantization_config") or {}
    skips = settings.get("model") == MODELS["gpt2"] and asked.get("quant_method") in ("quanto", "torchao")
    return {"pytorch.quantization_config"} if skips else set()


def _is_four_bit(settings: Settings) -> bool:
    """Three more parameters need it, so that chance would set it in a third of the configurations."""
    return settings.get("pytorch.load_in_4bit") is True


def _graph_only(settings: Settings) -> Settings:
    """A mode other than the default needs inductor."""
    default = {path: "default" for path in settings if path == "pytorch.torch_compile_mode"}
    return {**settings, **default, "pytorch.torch_compile_backend": "eager"}


QUOTAS = (
    Quota(_is_four_bit, most=7),
    Quota(_has_company, most=0),
    Quota(_compiles, most=3),
    Quota(_generates_code, most=0, instead=_graph_only),
)


@cache
def configurations() -> list[Drawn]:
    return Sampler(SEED, list(MODELS.values()), QUOTAS).draw(EACH * len(MODELS))


@dataclass
class Outcomes:
    """What became of the configurations of one model."""

    ran: int = 0
    refused: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unverifiable: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def note(self, item: Drawn, evidence: dict[str, dict[str, Any]]) -> None:
        self.ran += 1
        json.dumps(evidence, allow_nan=False)
        undone = undone_here({"pytorch": item.config.pytorch.model_dump()}) | _left_plain(item.settings)
        for path, entry in evidence.items():
            if entry["verdict"] == "unverifiable":
                self.unverifiable[path, entry["observed"]] += 1
            # A compiler that has given up a function runs it uncompiled, and says so.
            given_up = path == "pytorch.torch_compile" and "recompile_limits: 0" not in entry["observed"]
            if (entry["verdict"] == "ignored" and path not in undone and not given_up) or not entry["observed"]:
                self.faults.append(f"{item.settings}\n  {path}: {entry}")

    def refuse(self, settings: Settings, failure: ExperimentFailure) -> None:
        """A failure is a result, if it was a library that raised it, and says why."""
        self.refused[failure.stage, failure.error_class, failure.reason] += 1
        if failure.__cause__ is not None:
            raised_in = Path(traceback.extract_tb(failure.__cause__.__traceback__)[-1].filename)
            if raised_in.is_relative_to(Path(llenergymeasure.__path__[0])) or not failure.reason:
                self.faults.append(f"{settings}\n  {failure.trace}")

    def table(self) -> str:
        lines = [f"{self.ran} ran"]
        lines += [f"{number} failed: {': '.join(why)}" for why, number in self.refused.most_common()]
        lines += [f"{number} unverifiable: {': '.join(what)}" for what, number in self.unverifiable.most_common()]
        return "\n".join(lines)


@pytest.fixture(autouse=True)
def _process_as_found() -> Iterator[None]:
    """Settings of the process that a configuration changes."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", MODELS)
def test_random_configurations_run_or_are_refused_by_the_library(architecture: str, run: Runner) -> None:
    drawn = [item for item in configurations() if item.config.model == MODELS[architecture]]
    outcomes = Outcomes()
    for item in drawn:
        try:
            outcomes.note(item, run(**item.config.model_dump()).evidence)
        except ExperimentFailure as failure:
            outcomes.refuse(item.settings, failure)
        except Exception:  # noqa: BLE001 - a crash of ours: the others are tried anyway
            outcomes.faults.append(f"{item.settings}\n  {traceback.format_exc()}")
    print(f"\n{architecture}: {outcomes.table()}", flush=True)
    assert len(drawn) == EACH
    assert not outcomes.faults, "\n\n".join(outcomes.faults)
    assert outcomes.ran >= LEAST_SHARE_OF.get(architecture, LEAST_SHARE) * EACH, outcomes.table()
