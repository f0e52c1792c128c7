"""`make gpu-acceptance` as a whole, with the processor and the simulated NVML library in a board's place."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.gpu.limits import LIMITS
from benchmarks.gpu.parts import PARTS
from harness import ROOT


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build the simulated NVML library with")
    folder = tmp_path_factory.mktemp("acceptance")
    command = [sys.executable, "-m", "benchmarks.gpu", "--rehearsal", "--no-wheels"]
    environment = {**os.environ, "OUT": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False)
    return done, folder


def test_chosen_parts_run_in_the_time_that_is_given_and_are_never_an_acceptance(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--rehearsal", "--no-wheels", "--out", str(tmp_path)]
    command += ["--only", "board", "--seconds", "45"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1, done.stderr
    content = json.loads((tmp_path / "rehearsal-simulated-gpu-partial.json").read_text(encoding="utf-8"))
    assert (content["only"], content["total_s"], content["accepted"]) == (["board"], 45.0, False)
    states = {name: entry["state"] for name, entry in content["parts"].items()}
    assert states == {name: "done" if name == "board" else "not asked for" for name, *_ in PARTS}
    assert {verdict["verdict"] for verdict in content["verdicts"]} == {"unknown"}
    limit = re.search(r"board, at most (\d+) s", (tmp_path / "acceptance.log").read_text(encoding="utf-8"))
    assert limit and 20 < int(limit[1]) < 45


def document(rehearsed: tuple[subprocess.CompletedProcess[str], Path]) -> dict[str, Any]:
    """Of the one JSON that there is."""
    (path,) = rehearsed[1].glob("*.json")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.mark.slow
def test_it_holds_and_never_passes_for_a_board(rehearsed: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, folder = rehearsed
    assert done.returncode == 0, done.stdout + done.stderr + (folder / "acceptance.log").read_text()
    assert "REHEARSAL, says nothing of a board" in done.stdout
    assert [path.name for path in folder.glob("*.json")] == ["rehearsal-simulated-gpu.json"]
    content = document(rehearsed)
    assert content["rehearsal"] is True
    assert len(content["verdicts"]) == len(LIMITS)
    passed = [verdict["name"] for verdict in content["verdicts"] if verdict["verdict"] == "pass"]
    assert passed == ["prefill-forwards"]


@pytest.mark.slow
def test_every_part_answers_or_says_what_it_lacks(rehearsed: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    parts = document(rehearsed)["parts"]
    states = {name: entry["state"] for name, entry in parts.items()}
    assert states == {
        name: "not on this machine" if name == "evidence" else "done" for name, *_ in PARTS if name in states
    }
    assert {name for name, *_ in PARTS} - set(states) == {"other-library"}, "there is one transformers here"
    needs_cuda = {"not_here": "needs a CUDA device"}
    assert parts["board"]["figures"]["cuda"] == needs_cuda
    assert parts["decoding"]["figures"]["graphs"] == needs_cuda
    assert all(entry["seconds"] > 0 for entry in parts.values())


@pytest.mark.slow
def test_figures_of_the_simulated_board_are_its_true_ones(
    rehearsed: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    parts = {name: entry["figures"] for name, entry in document(rehearsed)["parts"].items()}
    step = parts["counter-lag"]["step_response"]
    assert (step["idle_w"], step["busy_w"]) == pytest.approx((80.0, 320.0), rel=0.02)
    # Polls come late on a busy machine, so only the middle one of four edges is held to half a tick.
    assert abs(statistics.median([*step["lag_up_s"], *step["lag_down_s"]])) < 0.04
    windows = parts["window-lengths"]["windows"]
    assert windows["watts"] == pytest.approx(80.0, rel=0.1)
    assert abs(windows["intercept_s"]) < 0.1
    assert parts["nvml-calls"]["idle"]["steps"]["counter"]["median_ms"] == pytest.approx(50.0, rel=0.2)


@pytest.mark.slow
def test_the_study_ran_through_the_pipeline(rehearsed: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    study = document(rehearsed)["parts"]["study"]["figures"]["study"]
    assert (study["snakemake"], study["records"]) == ("ended with exit code 0", 2)
    assert [job["rule"] for job in study["jobs"]] == ["model", "prompts", "load", "warmup", "calibrated", "measure"]
    assert len(study["experiments"]) == 2
    assert {run["status"] for runs in study["experiments"].values() for run in runs} == {"ok"}
    assert (rehearsed[1] / "study.tgz").stat().st_size > 1000
