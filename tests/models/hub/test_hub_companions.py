"""What comes with a model from a hub: its own code, a draft model, an adapter. All are pinned and verified alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from harness import Pipeline, study
from models.hub.hub_server import HubServer, Repository

CONFIGURATION = b"""from transformers import LlamaConfig


class OwnConfig(LlamaConfig):
    model_type = "own_llama"
"""
MODELING = b"""from transformers import LlamaForCausalLM

from .configuration_own import OwnConfig


class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


@pytest.fixture
def own(hub: HubServer, tiny_files: dict[str, bytes]) -> str:
    """org/own: the tiny model as an architecture that only its repository knows."""
    config = json.loads(tiny_files["config.json"])
    config |= {
        "model_type": "own_llama",
        "architectures": ["OwnForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_own.OwnConfig",
            "AutoModelForCausalLM": "modeling_own.OwnForCausalLM",
        },
    }
    files = {name: content for name, content in tiny_files.items() if not name.endswith(".py")}
    files |= {
        "config.json": json.dumps(config).encode(),
        "configuration_own.py": CONFIGURATION,
        "modeling_own.py": MODELING,
    }
    hub.repositories["org/own"] = Repository()
    return hub.repositories["org/own"].commit("main", files)


@pytest.fixture
def lora(hub: HubServer, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """org/lora: a LoRA adapter for the tiny model, on a branch of its own."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("lora")
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_folder),
        LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False),
    )
    adapted.save_pretrained(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.repositories["org/lora"] = Repository()
    return hub.repositories["org/lora"].commit("v2", {**files, "adapter_model.bin": b"pickle"})


def by_model(pipeline: Pipeline) -> dict[tuple[str, Any], dict[str, Any]]:
    """Records by model and what the study says about its code."""
    return {
        (record["config"]["model"], record["config"]["pytorch"]["trust_remote_code"]): record
        for record in pipeline.records()
    }


@pytest.mark.slow
def test_code_drafts_and_adapters_are_pinned_fetched_and_used(
    pipeline: Pipeline, hub: HubServer, commit: str, own: str, lora: str
) -> None:
    companions = {"assistant_model": "org/own", "adapter": "org/lora", "adapter_revision": "v2"}
    entries = [
        {"model": "org/own"},
        {"model": "org/own", "pytorch": {"trust_remote_code": False}},
        {"model": "org/tiny", "pytorch": {**companions, "trust_remote_code": True}},
    ]
    pipeline.write(study(experiments=entries, defaults={"model": "org/tiny"}))
    refused = pipeline.snakemake()
    assert refused.returncode == 1
    assert "org/own at 'main' is not pinned" in refused.output
    assert "org/lora at 'v2' is not pinned" in refused.output
    assert hub.requests == []

    assert pipeline.snakemake("pin").returncode == 0
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    records = by_model(pipeline)

    trusted = records["org/own", None]
    code = trusted["evidence"]["pytorch.trust_remote_code"]
    assert (trusted["status"], code["verdict"], code["effective"]) == ("ok", "default", True)
    assert "modeling_own.OwnForCausalLM" in code["observed"]

    untrusted = records["org/own", False]
    assert untrusted["status"] == "failed"
    assert untrusted["failure"]["stage"] == "load"
    assert "contains custom code" in untrusted["failure"]["reason"]

    evidence = records["org/tiny", True]["evidence"]
    expected = {
        "pytorch.revision": commit,
        "pytorch.assistant_revision": own,
        "pytorch.adapter_revision": lora,
        "pytorch.assistant_model": "org/own",
        "pytorch.adapter": "org/lora",
    }
    assert {path: evidence[path]["effective"] for path in expected} == expected
    assert {evidence[path]["verdict"] for path in expected} == {"applied"}
    assert "proposed" in evidence["pytorch.assistant_model"]["observed"]
    # Nothing pickled was even downloaded.
    assert not any((pipeline.directory / "results/models").rglob("*.bin"))


@pytest.mark.usefixtures("own")
def test_code_that_changed_since_it_was_pinned_never_runs(pipeline: Pipeline, hub: HubServer, cache: Path) -> None:
    pipeline.write(study(defaults={"model": "org/own"}, on_failure="stop"))
    assert pipeline.snakemake("pin").returncode == 0
    shutil.rmtree(cache)
    # As long as the true file: only its hash gives it away.
    hub.served["org/own", "modeling_own.py"] = b"open('ran', 'w')\n".ljust(len(MODELING), b"#")
    done = pipeline.snakemake()
    assert done.returncode == 1
    assert "modeling_own.py is not the file the lock describes" in done.output, done.output
    assert not (pipeline.directory / "ran").exists()


@pytest.mark.slow
def test_a_folders_code_runs_only_when_the_study_asks_for_it(pipeline: Pipeline, hub: HubServer, own: str) -> None:
    folder = pipeline.directory / "own"
    folder.mkdir()
    for name, content in hub.repositories["org/own"].commits[own].items():
        if "/" not in name:
            (folder / name).write_bytes(content)
    entries = [{"model": "./own"}, {"model": "./own", "pytorch": {"trust_remote_code": True}}]
    pipeline.write(study(experiments=entries, defaults={}))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    records = by_model(pipeline)
    assert records["./own", None]["status"] == "failed"
    assert "contains custom code" in records["./own", None]["failure"]["reason"]
    assert records["./own", True]["evidence"]["pytorch.trust_remote_code"]["verdict"] == "applied"
