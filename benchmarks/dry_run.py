"""Claim: `snakemake -n` on 10,000 experiments of 500 setups takes at most 2 times a bare graph with the same jobs.

It also takes at most 1.5 times the bare graph's memory, and at most 12 times the time of 1,000 experiments. The bare
graph (bare_graph.smk) has the same rules and files, and nothing is computed while it is read. Both ways of sharing
processes are tried: one session per setup (2,500 jobs), and each experiment alone in its process (20,500 jobs, the most
that 10,000 experiments can make).

The benchmark compares processor time: a dry run is one process that computes and waits for nothing, so on an idle
machine a clock shows the same, and load does not change the figure. The result is the median over alternated pairs.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT, LIMIT_MEMORY, LIMIT_GROWTH = 2.0, 1.5, 12.0
SETTINGS = 20
JOBS = re.compile(r"^(\w+) +(\d+) *$", re.MULTILINE)
STUDY = """
study: bench
defaults:
  model: random:llama?hidden_size=32&num_hidden_layers=2
  n_prompts: 4
  decoder: {preset: deterministic}
matrix:
  cpu_threads: [%s]
  pytorch.batch_size: [%s]
measurement:
  replicates: %d
  isolation: %s
"""


@dataclass(frozen=True)
class Study:
    isolation: str
    replicates: int
    pairs: int


STUDIES = (Study("setup", 3, 3), Study("experiment", 1, 1))


@dataclass(frozen=True)
class Cost:
    """jobs: how many of each rule, by Snakemake's own table"""

    processor_s: float
    peak_bytes: int
    jobs: Mapping[str, int]


def main() -> bool:
    held = [_compare(study) for study in STUDIES]
    return all(held)


def _compare(study: Study) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        small = _dry_run(_pipeline(study, 50, Path(folder, "small")))
        commands = {
            "pipeline": _pipeline(study, 500, Path(folder, "pipeline")),
            "bare": _bare(study, 500, Path(folder, "bare")),
        }
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for pair in range(study.pairs):
            for name in sorted(commands, reverse=bool(pair % 2)):
                costs[name].append(_dry_run(commands[name]))
    ours, bare = costs["pipeline"][-1], costs["bare"][-1]
    if not ours.jobs or ours.jobs != bare.jobs:
        raise RuntimeError(f"the bare graph has other jobs than the pipeline: {bare.jobs}, {ours.jobs}")
    ratio = _median_ratio(costs, lambda cost: cost.processor_s)
    memory = _median_ratio(costs, lambda cost: cost.peak_bytes)
    growth = statistics.median(cost.processor_s for cost in costs["pipeline"]) / small.processor_s
    print(
        f"dry_run: 10,000 experiments of 500 setups, isolation: {study.isolation}, {ours.jobs['total']:,} jobs, "
        f"{study.pairs} pairs: "
        f"{ours.processor_s:.1f} s / bare graph {bare.processor_s:.1f} s, ratio {ratio:.2f} (limit {LIMIT:g}); "
        f"memory {ours.peak_bytes / 2**20:.0f} / {bare.peak_bytes / 2**20:.0f} MiB, ratio {memory:.2f} "
        f"(limit {LIMIT_MEMORY:g}); {growth:.1f} times 1,000 experiments (limit {LIMIT_GROWTH:g})",
        flush=True,
    )
    return ratio <= LIMIT and memory <= LIMIT_MEMORY and growth <= LIMIT_GROWTH


def _median_ratio(costs: dict[str, list[Cost]], figure: Callable[[Cost], float]) -> float:
    pairs = zip(costs["pipeline"], costs["bare"], strict=True)
    return statistics.median(figure(ours) / figure(bare) for ours, bare in pairs)


def _pipeline(study: Study, setups: int, folder: Path) -> list[str]:
    folder.mkdir()
    values = [", ".join(map(str, range(1, count + 1))) for count in (setups, SETTINGS)]
    file = folder / "study.yaml"
    file.write_text(STUDY % (*values, study.replicates, study.isolation), encoding="utf-8")
    return ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--configfile", str(file)]


def _bare(study: Study, setups: int, folder: Path) -> list[str]:
    folder.mkdir()
    sessions = 1 if study.isolation == "setup" else SETTINGS
    sizes = [f"setups={setups}", f"sessions={sessions}", f"replicates={study.replicates}"]
    command = ["--snakefile", str(ROOT / "benchmarks/bare_graph.smk"), "--directory", str(folder)]
    return [*command, "--workflow-profile", str(ROOT / "workflow/profiles/default"), "--config", *sizes]


def _dry_run(arguments: list[str]) -> Cost:
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", *arguments]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode()
    if process.returncode != 0:
        raise RuntimeError(said)
    jobs = {rule: int(count) for rule, count in JOBS.findall(said.partition("Job stats")[2])}
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, jobs)
