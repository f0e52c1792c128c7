"""The pipeline itself on the board: one short study with Snakemake, and what its records say.

Snakemake is stopped in time for what was measured until then to be read.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.gpu.records import figures_of, read_loads, read_records
from benchmarks.gpu.scale import Scale
from benchmarks.gpu.told import ENDS_IN, OUT

ROOT = Path(__file__).resolve().parents[2]
STUDY = Path(__file__).with_name("acceptance.yaml")
# For reading the records before the part's own limit.
CLOSING_S = 8.0
NOT_KEPT = ("compile-cache", "models")


def study(scale: Scale) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(yaml.safe_dump(content(scale), sort_keys=False), encoding="utf-8")
        begun_s = time.perf_counter()
        code = _snakemake(scale, folder)
        seconds = time.perf_counter() - begun_s
        results = folder / "results" / "acceptance"
        _keep(results)
        return {
            "snakemake": "stopped for its records to be read" if code is None else f"ended with exit code {code}",
            "seconds": round(seconds, 1),
            **figures_of(read_records(results), read_loads(results)),
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
            "warmup": {"passes": 1},
            "baseline": {"duration_s": 0.2},
            "energy": {"meters": ["nvml"]},
            "pytorch": {"device_map": "cpu"},
        }
        whole["measurement"] |= {"min_window_s": 0.3, "replicates": 1}
    return whole


def _snakemake(scale: Scale, folder: Path) -> int | None:
    """Its exit code; None where it was stopped in time for the records to be read."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--cores", str(os.cpu_count() or 1), "--configfile", str(folder / "study.yaml")]
    command += ["--scheduler", "greedy"]  # the carried pulp has no solver
    if scale.rehearsal:
        command += ["--until", "measure"]
    limit_s = float(os.environ.get(ENDS_IN, "inf")) - CLOSING_S
    try:
        return subprocess.run(command, cwd=folder, timeout=max(limit_s, 1.0), check=False).returncode
    except subprocess.TimeoutExpired:
        return None


def _keep(results: Path) -> None:
    """The results as an archive beside the JSON, where the environment names a folder."""
    target = os.environ.get(OUT)
    if target and results.is_dir():
        with tarfile.open(Path(target, "study.tgz"), "w:gz") as archive:
            archive.add(results, "acceptance", filter=lambda item: None if _left_out(item.name) else item)


def _left_out(name: str) -> bool:
    return not set(NOT_KEPT).isdisjoint(Path(name).parts)


QUESTIONS = {"study": study}
