"""Locks that are really tried by two processes, room on the disk, memory."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from huggingface_hub import constants

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.study.lock import FileHash, ModelsLock, Pin, write_lock
from llenergymeasure.pipeline.doctor import storage
from llenergymeasure.pipeline.doctor.configured import Configured
from llenergymeasure.pipeline.doctor.models import model_rows, models_not_made
from llenergymeasure.pipeline.doctor.storage import locking_row, memory_row, room_rows

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# For the other process: what the test does to this one.
HOOK = """
import errno, fcntl, os
def flock(*_):
    if os.environ["FLOCK"] != "granted":
        raise OSError(getattr(errno, os.environ["FLOCK"]), "")
fcntl.flock = flock
"""


def test_locks_are_tried_by_two_processes_and_nothing_is_left(tmp_path: Path) -> None:
    row = locking_row(tmp_path / "results")
    assert (row.status, row.advice) == ("ok", "")
    assert row.found.endswith(f"in {tmp_path}/results, by the kernel and by marker files")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("ENOSYS", "by marker files: this file system has no flock"),
        ("granted", "by marker files: flock grants a lock to everybody here"),
    ],
)
def test_a_file_system_whose_flock_does_not_work(
    kind: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hook"))
    monkeypatch.setenv("FLOCK", kind)

    def flock(*_: int) -> None:
        if kind != "granted":
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    row = locking_row(tmp_path)
    assert row.status == "ok" and row.found.endswith(how)


def test_where_nothing_can_be_locked_it_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    row = locking_row(tmp_path / "file" / "results")
    assert row.status == "problem" and "Not a directory" in row.found
    monkeypatch.setattr(storage, "TRY_LOCK", "import sys; sys.exit('taken')")
    row = locking_row(tmp_path)
    assert row.status == "problem" and "another process was not kept out" in row.found
    assert "start one at a time" in row.advice


@pytest.fixture
def eight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configured:
    """A study of a pinned model of 16 GB; neither the cache nor the results hold any of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    pin = Pin(
        commit=COMMIT,
        files={
            "config.json": FileHash(sha256="0" * 64, size=1000),
            "model.safetensors": FileHash(sha256="0" * 64, size=16_000_000_000),
        },
    )
    (tmp_path / "config").mkdir()
    write_lock(ModelsLock(models={"org/eight": {"main": pin}}), tmp_path / "config" / "models.lock.yaml")
    config = ExperimentConfig.model_validate({"model": "org/eight", "pytorch": {"revision": COMMIT}})
    return Configured([config, config])


def free_room(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=100e9, used=0, free=free))


@pytest.mark.parametrize(
    ("free", "status"), [(15e9, "problem"), (17e9, "warning"), (90e9, "ok")], ids=["less", "just enough", "enough"]
)
def test_the_models_still_to_fetch_need_room(
    free: float, status: str, eight: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_room(monkeypatch, free)
    (row,) = room_rows(eight)
    assert row.status == status
    assert row.found.endswith("; the study's models need 16.0 GB more")


def test_a_model_in_the_cache_needs_no_room_beside_it(
    eight: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_room(monkeypatch, 90e9)
    snapshot = tmp_path / "cache" / "models--org--eight" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_text("")
    (row,) = room_rows(eight)
    assert row.found.endswith("need 0.0 GB more")
    (snapshot / "config.json").write_text("")
    assert not models_not_made(eight)[0].to_download
    (row,) = room_rows(eight)
    assert "more" not in row.found


def test_a_cache_on_another_disk_needs_room_there_too(eight: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between file systems files are copied."""
    free_room(monkeypatch, 15e9)
    monkeypatch.setattr(storage, "_cache_folder", lambda: Path("/proc"))
    results, cache = room_rows(eight)
    assert (results.status, cache.status) == ("problem", "problem")
    assert "`snakemake --directory`" in results.advice and "HF_HOME" in cache.advice


def test_a_model_that_is_made_needs_no_more(eight: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free_room(monkeypatch, 90e9)
    (source,) = eight.sources()
    (tmp_path / "results" / "models" / source.key).mkdir(parents=True)
    (row,) = room_rows(eight)
    assert row.status == "ok" and "more" not in row.found


def test_a_model_that_files_here_rule_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    config = ExperimentConfig.model_validate({"model": "./broken"})
    (row,) = model_rows(Configured([config]))
    assert row.status == "warning" and "broken" in row.found
    (row,) = model_rows(Configured([config], stops_on_failure=True))
    assert row.status == "problem"


@pytest.mark.parametrize(
    ("own", "limits", "says"),
    [
        ("0::/\n", {"memory.max": "max"}, None),
        ("0::/\n", {"memory.max": "8000000000"}, "may use 8 GB"),
        # SLURM limits the job, which is above the task.
        ("0::/slurm/job_7/task_0\n", {"slurm/job_7/memory.max": "6000000000"}, "may use 6 GB"),
        ("0::/slurm/job_7\n", {"slurm/job_7/memory.max": "7000000000", "memory.max": "9000000000"}, "may use 7 GB"),
        ("5:cpu:/\n4:memory:/job\n", {"memory/job/memory.limit_in_bytes": "5000000000"}, "may use 5 GB"),
        ("", {}, None),
    ],
    ids=["none", "container", "job", "least", "version 1", "no groups"],
)
def test_the_limit_of_a_job_or_a_container_is_shown(
    own: str, limits: dict[str, str], says: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").write_text(own)
    for path, limit in limits.items():
        (tmp_path / "groups" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / path).write_text(f"{limit}\n")
    monkeypatch.setattr(storage, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(storage, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=64e9, available=60e9))
    found = memory_row().found
    assert found.startswith("64 GB, 60 GB of it available")
    assert ("may use" in found) == (says is not None)
    assert says is None or says in found
