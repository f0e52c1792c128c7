"""The pipeline itself on the board: one short study with Snakemake, and what its records say.

Snakemake is stopped in time for what was measured until then to be read.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.gpu.part_environment import ENDS_IN, OUT
from benchmarks.gpu.records import read_loads, read_records, study_figures
from benchmarks.gpu.scale import Scale

ROOT = Path(__file__).resolve().parents[2]
STUDY = Path(__file__).with_name("acceptance.yaml")
# For reading the records before the part's own limit.
CLOSING_S = 8.0
# What Snakemake prints of a job that has ended.
FINISHED = re.compile(r"Finished jobid: \d+ \(Rule: (\w+)\)")
NOT_KEPT = ("compile-cache", "models")


def study(scale: Scale) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(yaml.safe_dump(content(scale), sort_keys=False), encoding="utf-8")
        begun_s = time.perf_counter()
        code, jobs = _snakemake(scale, folder)
        seconds = time.perf_counter() - begun_s
        results = folder / "results" / "acceptance"
        _keep(results)
        (records, lines), (loads, files) = read_records(results), read_loads(results)
        return {
            "snakemake": "stopped for its records to be read" if code is None else f"ended with exit code {code}",
            "stopped": code is None,
            "seconds": round(seconds, 1),
            "jobs": jobs,
            **study_figures(records, loads, lines + files),
        }


def content(scale: Scale) -> dict[str, Any]:
    """The study as a mapping; in a rehearsal of a size that a processor runs in seconds, and without estimates."""
    whole: dict[str, Any] = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    if scale.rehearsal:
        fields = "&".join(f"{name}={value}" for name, value in scale.model.items())
        whole["defaults"] |= {
            "model": f"random:llama?{fields}&seed=1",
            "precision": "fp32",
            "cpu_threads": 1,
            "max_output_tokens": 4,
            "dataset": {"source": "synthetic", "tokens": 16},
            "warmup": {"passes": 1, "temperature_timeout_s": 0.0},
            "baseline": {"enabled": False},  # waiting for idle power takes longer than all else here
            "energy": {"meters": ["nvml"]},
            "pytorch": {"device_map": "cpu"},
        }
        whole["measurement"] |= {"min_window_s": 0.3, "replicates": 1}
        whole["matrix"]["pytorch"] = whole["matrix"]["pytorch"][1:]  # of equal rows: a dynamic and a static cache
    return whole


def _snakemake(scale: Scale, folder: Path) -> tuple[int | None, list[dict[str, Any]]]:
    """Its exit code, None where it was stopped in time for the records to be read; and its jobs."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--cores", str(os.cpu_count() or 1), "--configfile", str(folder / "study.yaml")]
    command += ["--scheduler", "greedy"]  # the carried pulp has no solver
    if scale.rehearsal:
        command += ["--until", "measure"]
    limit_s = float(os.environ.get(ENDS_IN, "inf")) - CLOSING_S
    return timed_jobs(command, folder, max(limit_s, 1.0))


def timed_jobs(command: Sequence[str], folder: Path, limit_s: float) -> tuple[int | None, list[dict[str, Any]]]:
    """Run Snakemake and print what it prints; its exit code, None where it was killed, and when each job ended.

    ended_s: since Snakemake was started; seconds: since the job before it ended, or since the start
    """
    begun_s, jobs = time.perf_counter(), list[dict[str, Any]]()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.stdout
    assert output is not None

    def read() -> None:
        with output:
            keep(output)

    def keep(output: Iterable[str]) -> None:
        for line in output:
            print(line, end="", flush=True)
            ended = FINISHED.search(line)
            if ended:
                now_s, before_s = time.perf_counter() - begun_s, jobs[-1]["ended_s"] if jobs else 0.0
                jobs.append({"rule": ended[1], "ended_s": round(now_s, 1), "seconds": round(now_s - before_s, 1)})

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        code: int | None = process.wait(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        code = None
    reader.join(1.0)  # a worker that lives on keeps the pipe open
    return code, list(jobs)


def _keep(results: Path) -> None:
    """The results as an archive beside the JSON, where the environment names a folder."""
    target = os.environ.get(OUT)
    if target and results.is_dir():
        with tarfile.open(Path(target, "study.tgz"), "w:gz") as archive:
            archive.add(results, "acceptance", filter=lambda item: None if _left_out(item.name) else item)


def _left_out(name: str) -> bool:
    return not set(NOT_KEPT).isdisjoint(Path(name).parts)


QUESTIONS = {"study": study}
