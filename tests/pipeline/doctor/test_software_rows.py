"""Python's packages, torch against the driver, the compiler, conda and SLURM."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
from pathlib import Path

import pytest
from harness import ROOT

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.pipeline.doctor import cluster, software
from llenergymeasure.pipeline.doctor.cluster import cluster_rows
from llenergymeasure.pipeline.doctor.configured import Configured
from llenergymeasure.pipeline.doctor.software import compiler_row, packages_row, torch_row

ON_CPU = Configured([ExperimentConfig.model_validate({"model": "random:llama", "pytorch": {"device_map": "cpu"}})])


def test_packages_in_other_versions_than_the_lock_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packages_row(ROOT).status == "ok"
    real = software.installed_packages()
    monkeypatch.setattr(software, "installed_packages", lambda: {**real, "tokenizers": "0.0.1"})
    row = packages_row(ROOT)
    assert row.status == "warning"
    assert "1 package in another version than" in row.found and "tokenizers 0.0.1 (lock: " in row.found


def test_torch_is_there_or_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    without = torch_row(Configured(), conda_measures=False)
    assert without.status == "problem" and "`make run` installs it" in without.advice
    assert torch_row(Configured(), conda_measures=True).status == "ok"


def test_a_torch_that_cannot_use_the_boards_stops_a_study_that_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from llenergymeasure.engine import machine

    assert torch_row(Configured(), conda_measures=False).status == "ok"
    monkeypatch.setattr(machine, "why_no_cuda", lambda: "NVML sees 8 GPUs (driver 535) and torch sees none")
    row = torch_row(Configured(), conda_measures=False)
    assert row.status == "problem" and row.found.startswith("NVML sees 8 GPUs")
    assert "update the driver (580 or newer for CUDA 13" in row.advice
    assert torch_row(ON_CPU, conda_measures=False).status == "warning"


def test_a_machine_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiler_row().status == "ok"
    monkeypatch.setenv("CC", "no-such-compiler")
    row = compiler_row()
    assert row.status == "warning" and "`apt-get install gcc python3-dev`" in row.advice


def sinfo(folder: Path, script: str) -> None:
    for name, text in (("sinfo", script), ("sbatch", "exit 0")):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755 | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("script", "status", "says"),
    [
        ("printf 'gpu\\nshort\\n'", "ok", "partitions: gpu, short;"),
        ("printf 'long\\n'", "warning", "partitions: long;"),
        ("echo 'Unable to contact slurm controller' >&2; exit 1", "warning", "Unable to contact slurm controller"),
    ],
    ids=["as in the profile", "another partition", "no controller"],
)
def test_slurm_is_asked_for_its_partitions(
    script: str, status: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sinfo(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    row = {row.what: row for row in cluster_rows(ROOT)}["SLURM"]
    assert row.status == status and says in row.found


def test_without_slurm_and_conda_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert {row.status for row in cluster_rows(ROOT)} == {"ok"}
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(cluster, "_partitions", lambda: ["gpu"])
    monkeypatch.setattr(cluster, "distributions", lambda **_: [])
    slurm = {row.what: row for row in cluster_rows(ROOT)}["SLURM"]
    assert slurm.status == "warning" and "snakemake-executor-plugin-slurm" in slurm.advice
