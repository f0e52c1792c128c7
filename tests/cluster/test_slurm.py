"""A study on a real SLURM, through the profile that users copy: killed workers, cancelled jobs, and what is resumed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cluster import slurm
from harness import ROOT, Pipeline, study

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(slurm.missing() is not None, reason=str(slurm.missing())),
    pytest.mark.timeout(3600),
]
PATIENCE_S = 1500
# What a user changes in the profile for this cluster, and nothing else.
OF_THIS_CLUSTER = {
    "slurm_partition: gpu": "slurm_partition: debug",
    "mem_mb: 32000": "mem_mb: 4000",
    "runtime: 120": "runtime: 20",
    ": 8\n": ": 1\n",
    "latency-wait: 60": "latency-wait: 10",
}
SECONDS = ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Slurm]:
    with slurm.running(tmp_path_factory.mktemp("slurm")) as started:
        yield started


def test_a_study_runs_through_the_profile_and_survives_a_killed_worker_and_a_cancelled_job(
    cluster: slurm.Slurm, tmp_path: Path
) -> None:
    pipeline = Pipeline(tmp_path)
    pipeline.write(
        study(
            matrix={"pytorch.attn_implementation": ["eager", "sdpa"], "pytorch.batch_size": [1, 2, 3, 4]},
            include=[{"cpu_threads": 2, "pytorch.batch_size": size} for size in (1, 2, 3, 4)],
            measurement={"replicates": 1, "min_window_s": 2.0},
        )
    )
    _write_profile(tmp_path)
    with (tmp_path / "out.log").open("wb") as log:
        running = subprocess.Popen(_command(tmp_path), cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
        try:
            jobs = _disturb(cluster, pipeline, running)
            assert running.wait(timeout=PATIENCE_S) == 0, (tmp_path / "out.log").read_text() + cluster.log()
        finally:
            running.kill()

    asked = {name: job for name, job in jobs.items() if name.startswith(("rule_load", "rule_warmup", "rule_measure"))}
    assert len(asked) == 9, sorted(jobs)
    assert all("gpu:1" in job["gres"] for job in asked.values())
    assert {job["shared"] for job in asked.values()} == {"NO"}, "each has its node to itself"
    # Every experiment has one line; the killed worker's is a failure that says so, and nothing else is lost.
    records = {record["experiment_id"]: record for record in pipeline.records()}
    assert len(records) == len(pipeline.records()) == 12
    failed = [record for record in records.values() if record["status"] != "ok"]
    assert [record["failure"]["class"] for record in failed] == ["WorkerDied"]
    cut, kept = jobs["kept"]["session"], jobs["kept"]["records"]
    assert kept and all(records[name] == record for name, record in kept.items())
    assert {records[name]["worker_pid"] for name in kept}.isdisjoint(
        record["worker_pid"] for name, record in records.items() if record["session_id"] == cut and name not in kept
    )
    assert (pipeline.results() / "report.html").exists()

    # Resumed: what failed is measured again when its files are deleted, and nothing else is.
    session = failed[0]["session_id"]
    (pipeline.results() / "sessions" / session / "1" / "measurements.jsonl").unlink()
    again = _snakemake(tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stderr.count("rule_measure") == 1 and "rule_warmup" not in again.stderr
    assert {record["status"] for record in pipeline.records()} == {"ok"}


def test_the_terminal_says_why_a_job_failed_or_was_refused(cluster: slurm.Slurm, tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path)
    missing = {"source": "file", "path": "nope.jsonl", "column": "text"}
    pipeline.write(study(defaults={"dataset": missing}))
    _write_profile(tmp_path)
    done = _snakemake(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr + cluster.log()
    messages = done.stderr.split("validate (job 1) failed: ")
    assert len(messages) == 2 and "Trying to restart job 1." not in done.stderr, "it is not tried again"
    assert "\n    dataset: dataset.path: nope.jsonl does not exist" in messages[1]
    assert (where := re.search(r"\n  logs: (\S+), (\S+)\n", messages[1]))
    assert all("nope.jsonl does not exist" in (tmp_path / log).read_text(encoding="utf-8") for log in where.groups())

    refused = _snakemake(tmp_path, "--set-resources", "validate:mem_mb=100000000")
    assert refused.returncode == 1
    assert "validate (job 1) failed: SLURM sbatch failed." in refused.stderr
    assert "Requested node configuration is not available" in refused.stderr
    assert "--mem 100000000" in refused.stderr
    # What it says of this job is not what an older log of it says; the job that reads the prompts has its own line.
    (of_validate,) = refused.stderr.split("validate (job 1) failed: ")[1:]
    assert "nope.jsonl" not in of_validate.split(" failed: ")[0]


def _snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*_command(folder), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def _command(folder: Path) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return [*command, "--profile", "profile", "--configfile", "study.yaml", *SECONDS]


def _write_profile(folder: Path) -> None:
    text = (ROOT / "workflow/profiles/slurm/config.yaml").read_text(encoding="utf-8")
    for ours, theirs in OF_THIS_CLUSTER.items():
        assert ours in text, f"the profile has no {ours!r} any more"
        text = text.replace(ours, theirs)
    (folder / "profile").mkdir()
    (folder / "profile" / "config.yaml").write_text(text, encoding="utf-8")


def _disturb(cluster: slurm.Slurm, pipeline: Pipeline, running: subprocess.Popen[bytes]) -> dict[str, dict]:
    """Kill the first measuring worker, cancel the second measuring job when it has a record; what SLURM was asked."""
    jobs: dict[str, dict] = {}
    killed: str | None = None
    replicates = pipeline.results() / "sessions"
    end = time.monotonic() + PATIENCE_S
    while running.poll() is None and time.monotonic() < end:
        for job in cluster.jobs():
            jobs[job["comment"]] = job
        # Of replicates: a warm-up keeps one too, one folder higher.
        journals = {path.parents[2].name: path.parents[1] for path in replicates.glob("*/*/.journal/*.jsonl")}
        for session, folder in journals.items():
            worker = _worker_of(session)
            if killed is None and worker is not None:
                os.kill(worker, signal.SIGKILL)
                killed = session
            elif "kept" not in jobs and session != killed and (kept := _journaled(folder)):
                subprocess.run(["scancel", _measuring(cluster, session)], check=True)
                jobs["kept"] = {"session": session, "records": kept}
        time.sleep(0.2)
    assert killed is not None and "kept" in jobs, (pipeline.directory / "out.log").read_text() + cluster.log()
    return jobs


def _worker_of(session: str) -> int | None:
    """The worker of the job that measures a session."""
    for process in psutil.process_iter(["cmdline"]):
        if "llenergymeasure.measurement.worker" not in " ".join(process.info["cmdline"] or []):
            continue
        log = Path(f"/proc/{process.pid}/fd/1").readlink()
        if log.name.startswith(session) and log.parent.name == "measure":
            return process.pid
    return None


def _measuring(cluster: slurm.Slurm, session: str) -> str:
    return next(job["id"] for job in cluster.jobs() if "measure" in job["comment"] and session in job["comment"])


def _journaled(folder: Path) -> dict[str, dict]:
    lines = [line for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines(keepends=True)]
    records = [json.loads(line)["record"] for line in lines if line.endswith("\n")]
    return {record["experiment_id"]: record for record in records}
