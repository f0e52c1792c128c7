"""Models that would be measured without a warning: what their records say, and that nothing else is lost with them."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from edited_models import filled, model_folder, rewrite, without
from harness import TINY, Pipeline, study
from measurement.experiments import config

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement.session import Session
from llenergymeasure.models.snapshot import materialise


@dataclass
class Done:
    """What load, warm-up and measurement answered. outputs: token ids of the first pass, one list per request."""

    load: dict[str, Any]
    record: dict[str, Any]
    requests: list[dict[str, Any]]
    outputs: list[list[int]]

    @property
    def output_tokens_per_pass(self) -> float:
        return self.record["metrics"]["output_tokens"] / self.record["metrics"]["passes"]


def measured(folder: Path, **changes: Any) -> Done:
    intent = config(model=str(folder), baseline={"enabled": False}, **changes)
    made = materialise(
        parse_model_ref(str(folder)), None, Path(tempfile.mkdtemp(dir=folder.parent)) / "snapshot", lock=ModelsLock()
    )
    session = Session(Alone())
    try:
        loaded = session.load(config=intent, snapshots={"model": str(made.path)}, compile_cache=None)
        load = loaded.describe_load()
        calibration = loaded.warmup(config=intent, min_window_s=0.05, energy_resolution=0.5)
        reference = {"experiment_id": "x", "outputs": calibration["outputs"]}
        done = loaded.measure(config=intent, calibration=calibration, reference=reference)
    finally:
        session.close()
    json.dumps([load, done["record"]], allow_nan=False)
    return Done(load, done["record"], done["requests"], [row["output_ids"] for row in calibration["outputs"]])


def test_a_model_of_nan_is_invalid_however_fast_it_is(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "nan")
    rewrite(folder / "model.safetensors", filled(r"layers\.1\.mlp\.up_proj", float("nan")))
    record = measured(folder).record
    assert record["status"] == "invalid"
    (reason,) = (item for item in record["validity"]["reasons"] if item["code"] == "logits-not-finite")
    # A reason of the verdict is not a warning too, of which the report says that the figures stand.
    assert "logits-not-finite" not in {item["code"] for item in record["warnings"]}
    assert reason["severity"] == "invalid"
    assert "12 of 12 rows" in reason["message"]


def test_nothing_is_compared_with_the_output_of_such_a_model(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "nan")
    rewrite(folder / "model.safetensors", filled(r"layers\.1\.mlp\.up_proj", float("nan")))
    done = measured(folder)
    assert done.outputs == []
    assert done.record["output_match"]["comparable"] is False
    assert "its logits were not finite" in done.record["output_match"]["reason"]


def test_half_precision_that_overflows_is_invalid_too(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "large")
    rewrite(folder / "model.safetensors", lambda tensors: {name: tensor * 3e4 for name, tensor in tensors.items()})
    record = measured(folder, precision="fp16").record
    assert "logits-not-finite" in {item["code"] for item in record["validity"]["reasons"]}


def test_warnings_of_load_and_first_pass_are_in_both_records(tmp_path: Path) -> None:
    fields = {"num_beams": 2, "temperature": 0.3}
    folder = model_folder(tmp_path / "odd", config={"max_position_embeddings": 16}, generation_config=fields)
    rewrite(folder / "model.safetensors", lambda tensors: {**tensors, "extra.weight": torch.ones(3)})
    done = measured(folder)
    said = {item["code"]: item["message"] for item in done.load["warnings"]}
    assert "extra.weight" in said["weights-unexpected"]
    assert "temperature" in said["library-warning"]
    codes = [item["code"] for item in done.record["warnings"]]
    assert codes.count("weights-unexpected") == 1
    assert codes.count("model-setting") == 1
    assert codes.count("library-warning") == 2
    assert any("predefined maximum length (16)" in item["message"] for item in done.record["warnings"])


def test_tokens_behind_an_end_token_are_in_no_figure(tmp_path: Path) -> None:
    """Two prompts of which the second gets its end token at once: 13 output tokens in a pass, not 24."""
    folder = model_folder(tmp_path / "plain")
    free = {"n_prompts": 2, "max_output_tokens": 12, "fixed_output": False, "pytorch": {"batch_size": 2}}
    plain = measured(folder, **free)
    assert plain.output_tokens_per_pass == 24
    end = plain.outputs[1][0]
    assert end not in plain.outputs[0]
    done = measured(folder, **free, passthrough_kwargs={"generate": {"eos_token_id": end}})
    assert done.outputs == [plain.outputs[0], [end]]
    assert [(item["output_tokens"], item["stop_reason"]) for item in done.requests[:2]] == [(12, "length"), (1, "eos")]
    assert done.output_tokens_per_pass == 13


@pytest.mark.slow
def test_one_bad_model_is_one_line_and_the_study_continues(pipeline: Pipeline) -> None:
    half = model_folder(pipeline.directory / "half")
    rewrite(half / "model.safetensors", without(r"layers\.1\."))
    nan = model_folder(pipeline.directory / "nan")
    rewrite(nan / "model.safetensors", filled(r"layers\.1\.mlp\.up_proj", float("nan")))
    model_folder(pipeline.directory / "odd", generation_config={"return_dict_in_generate": True})
    models = [TINY, "./half", "./nan", "./odd"]
    pipeline.write(study(matrix={"model": models}))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    assert "Traceback" not in done.output
    records = {record["config"]["model"]: record for record in pipeline.records()}
    assert [records[model]["status"] for model in models] == ["ok", "failed", "invalid", "ok"]
    failure = records["./half"]["failure"]
    assert (failure["stage"], failure["class"]) == ("load", "MissingWeights")
    answer = (pipeline.results() / "summary.txt").read_text(encoding="utf-8")
    assert "nan" not in answer.splitlines()[1]
