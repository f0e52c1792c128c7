"""Claim: `snakemake -n` on 1,000 experiments takes at most 2 times a bare Snakemake graph with the same jobs.

The bare graph has the same rules and files with nothing computed while it is read. Median over alternated pairs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 2.0
PAIRS = 3
# 100 loads of 10 experiments, each experiment alone in its batch: the most jobs 1,000 experiments can make.
STUDY = """
study: bench
defaults:
  model: random:llama?hidden_size=32&num_hidden_layers=2
  n: 4
  decoder: {preset: deterministic}
matrix:
  cpu_threads: [%s]
  pytorch.batch_size: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
measurement:
  replicates: 1
  isolation: experiment
"""
BARE = """
rule all:
    input: "results/bench/report.html"
rule validate:
    output: "results/bench/plan.json"
    shell: "touch {output}"
rule model:
    output: directory("results/models/m")
    shell: "mkdir {output}"
rule load:
    input: "results/bench/plan.json", "results/models/m"
    output: "results/bench/loads/{load}/load.json", directory("results/bench/loads/{load}/compile-cache")
    shell: "touch {output}"
rule warmup:
    input: lambda w: f"results/bench/loads/{int(w.batch) // 10}/load.json"
    output: "results/bench/batches/{batch}/calibration.json"
    shell: "touch {output}"
rule measure:
    input: "results/bench/batches/{batch}/calibration.json"
    output:
        "results/bench/batches/{batch}/1/measurements.jsonl",
        "results/bench/batches/{batch}/1/requests.parquet",
        "results/bench/batches/{batch}/1/power.parquet",
    shell: "touch {output}"
rule aggregate:
    input: expand("results/bench/batches/{batch}/1/measurements.jsonl", batch=range(1000))
    output: "results/bench/summary.csv"
    shell: "touch {output}"
rule report:
    input: "results/bench/summary.csv"
    output: "results/bench/report.html"
    shell: "touch {output}"
"""


def main() -> bool:
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as bare:
        study = Path(ours, "study.yaml")
        study.write_text(STUDY % ", ".join(str(threads) for threads in range(1, 101)), encoding="utf-8")
        Path(bare, "Snakefile").write_text(BARE, encoding="utf-8")
        ours_only = ["--snakefile", str(ROOT / "Snakefile"), "--directory", ours, "--configfile", str(study)]
        commands = {"pipeline": (ours_only, ours), "bare": (["--cores", "1"], bare)}
        ratios = []
        for pair in range(PAIRS):
            order = ("pipeline", "bare") if pair % 2 else ("bare", "pipeline")
            seconds = {name: _dry_run(*commands[name]) for name in order}
            ratios.append(seconds["pipeline"] / seconds["bare"])
        ratio = statistics.median(ratios)
        print(
            f"dry_run: pipeline {seconds['pipeline']:.2f} s / bare graph {seconds['bare']:.2f} s, "
            f"median ratio {ratio:.2f} over {PAIRS} pairs (1,000 experiments, limit {LIMIT})"
        )
        return ratio <= LIMIT


def _dry_run(arguments: list[str], directory: str) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "snakemake", "-n", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr + done.stdout)
    return time.perf_counter() - start
