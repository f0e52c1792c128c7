"""`snakemake doctor` as a user calls it, and what the exit code depends on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, Pipeline, study

from llenergymeasure.pipeline.doctor import doctor
from llenergymeasure.pipeline.doctor.configured import read_configured
from llenergymeasure.pipeline.doctor.doctor import print_doctor
from llenergymeasure.pipeline.doctor.table import Row, Status

SECTIONS = ("model_rows", "software_rows", "gpu_rows", "energy_rows", "storage_rows", "hub_rows", "cluster_rows")
# In the light environment there are no such packages.
LIGHT = """
import sys
sys.modules.update(dict.fromkeys(["torch", "transformers", "huggingface_hub", "codecarbon", "accelerate"]))
from pathlib import Path
from llenergymeasure.pipeline.doctor.doctor import print_doctor
config = {"study": "quick", "defaults": {"model": "random:llama"}}
sys.exit(print_doctor(config, [], conda_measures=False))
"""


@pytest.fixture
def sections(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Row]]:
    """What each section says; nothing where the test does not say."""
    said: dict[str, list[Row]] = {name: [] for name in SECTIONS}
    for name in SECTIONS:
        monkeypatch.setattr(doctor, name, lambda *_, _name=name, **__: said[_name])
    return said


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_only_a_problem_fails(
    sections: dict[str, list[Row]], capsys: pytest.CaptureFixture[str], status: Status, code: int
) -> None:
    sections["gpu_rows"] = [Row("GPU 0", "a board", status)]
    assert print_doctor(study(), [], conda_measures=False) == code
    assert f"{status:<9}GPU 0               a board" in capsys.readouterr().out


def test_a_machine_that_answers_as_nobody_foresaw_leaves_a_gap(
    sections: dict[str, list[Row]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> Iterator[Row]:
        yield Row("GPU 0", "a board")
        raise RuntimeError("no such call")

    monkeypatch.setattr(doctor, "gpu_rows", broken)
    sections["hub_rows"] = [Row("hub", "there")]
    assert print_doctor(study(), [], conda_measures=False) == 0
    said = capsys.readouterr().out
    assert "GPU 0" in said and "could not be looked at: RuntimeError: no such call" in said and "there" in said


def test_a_study_with_mistakes_is_a_problem_and_the_machine_is_still_checked_for_it() -> None:
    source = ROOT / "config" / "config.yaml"
    configured, row = read_configured(study(defaults={"model": "org/unpinned"}), source)
    assert row.status == "problem" and "snakemake pin" in row.advice
    assert [config.model for config in configured.experiments] == ["org/unpinned"]
    assert list(configured.claims().values()) == [1]
    configured, row = read_configured(study(defaults={"batchsize": 3}), source)
    assert row.status == "problem" and configured.experiments == []
    assert read_configured({"from": "results/x"}, source)[1].status == "ok"


def test_every_claim_of_a_study_is_checked() -> None:
    content = study(matrix={"pytorch.devices": [1, 4]})
    configured, row = read_configured(content, ROOT / "config" / "config.yaml")
    assert row.status == "ok" and row.found.endswith("config.yaml: 2 experiments")
    assert sorted(configured.claims().values()) == [1, 4]


def test_in_the_light_environment(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIGHT]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 1
    assert [line[9:18].strip() for line in done.stdout.splitlines() if line.startswith("problem")] == ["torch"]
    assert "could not be looked at" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100 + len(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_target_needs_no_cores_no_plan_and_no_sound_study(pipeline: Pipeline) -> None:
    pipeline.write(study(defaults={"model": "org/unpinned"}))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "doctor"]
    done = subprocess.run(
        [*command, "--configfile", "study.yaml"], cwd=pipeline.directory, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    assert "problem  study               study.yaml: 1 mistake" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert {path.name for path in pipeline.directory.iterdir()} <= {"study.yaml", ".snakemake"}
    done = subprocess.run(command, cwd=pipeline.directory, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].endswith(("nothing to do", "what they mean for its figures"))
