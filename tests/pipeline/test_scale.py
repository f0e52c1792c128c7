"""Studies of thousands of experiments, by real Snakemake; only the worker is simulated (tests/simulated)."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from harness import SIMULATED, Done, Pipeline, study

from llenergymeasure.records.metrics import REQUEST_LATENCIES

SETTINGS = 20
# The simulated device is nobody's to claim, so jobs run side by side.
SIDE_BY_SIDE = ["--set-resources"]
SIDE_BY_SIDE += [f"{rule}:{name}=0" for rule in ("load", "warmup", "measure") for name in ("gpu", "quiet")]


def of_many(setups: int, settings: int) -> dict[str, Any]:
    return study(
        defaults={"n_prompts": 4, "max_output_tokens": 8, "cpu_threads": None, "warmup": {}, "baseline": {}},
        matrix={
            "cpu_threads": list(range(1, setups + 1)),
            "pytorch.batch_size": list(range(1, settings + 1)),
        },
    )


def run_simulated(pipeline: Pipeline, *arguments: str, timeout_s: float = 580) -> Done:
    done = pipeline.snakemake(*arguments, timeout_s=timeout_s, **SIMULATED)
    assert done.returncode == 0, done.output[-4000:]
    return done


def check_results(results: Path, setups: int, settings: int, failed: int) -> None:
    """Every experiment of the plan has its row, in the plan's order, and the best of the simulation is the summary."""
    plan = json.loads((results / "plan.json").read_text(encoding="utf-8"))
    assert len(plan["experiments"]) == setups * settings
    assert len(plan["sessions"]) == setups
    summary = pd.read_parquet(results / "summary.parquet")
    assert list(summary["experiment_id"]) == list(plan["experiments"])
    assert (summary["status"] == "failed").sum() == failed
    assert (summary["status"] == "ok").sum() == setups * settings - failed
    # A pass takes longer with smaller batches: the means say so for every setup.
    by_setup = summary[summary["status"] == "ok"].groupby("cpu_threads")
    assert (by_setup["energy_per_output_token_j_mean"].idxmax() == by_setup["pytorch.batch_size"].idxmin()).all()
    with (results / "latencies.csv").open(newline="") as lines:
        assert sum(1 for _ in csv.DictReader(lines)) == len(REQUEST_LATENCIES) * (setups * settings - failed)
    summary = (results / "summary.txt").read_text(encoding="utf-8").splitlines()
    assert f"{setups * settings} experiments × 1 replicate" in summary[0]
    assert (results / "report.html").stat().st_size < 4_000_000


@pytest.mark.slow
def test_two_hundred_simulated_experiments(pipeline: Pipeline) -> None:
    pipeline.write(of_many(2, 100))
    done = run_simulated(pipeline, *SIDE_BY_SIDE)
    assert done.jobs["measure"] == done.jobs["warmup"] == done.jobs["load"] == 2
    check_results(pipeline.results(), 2, 100, failed=1)
    assert "simulated: out of memory" in (pipeline.results() / "summary.txt").read_text(encoding="utf-8")
    # A deleted replicate is measured alone.
    next((pipeline.results() / "sessions").glob("*/1/measurements.jsonl")).unlink()
    assert run_simulated(pipeline, "-n").jobs["measure"] == 1


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_ten_thousand_simulated_experiments(pipeline: Pipeline) -> None:
    pipeline.write(of_many(500, SETTINGS))
    done = run_simulated(pipeline, *SIDE_BY_SIDE, timeout_s=7000)
    assert done.jobs["measure"] == done.jobs["warmup"] == done.jobs["load"] == 500
    check_results(pipeline.results(), 500, SETTINGS, failed=5)


def test_a_node_reads_the_plan_and_not_the_matrix(pipeline: Pipeline) -> None:
    """On a cluster Snakemake reads the Snakefile again for each job: that cost must not grow with the study."""
    wanted = of_many(3, 4)
    pipeline.write(wanted)
    assert pipeline.snakemake("replan").returncode == 0
    setup_id, session_id = (pipeline.plan()["sessions"][0][name] for name in ("setup_id", "session_id"))
    # Neither the matrix nor the whole plan can be read any more.
    (pipeline.results() / "plan.json").unlink()
    pipeline.write({**wanted, "matrix": {"no.such.setting": [1]}})
    assert pipeline.snakemake("-n").returncode == 1
    target = f"measure:session_id={session_id},replicate=1"
    done = pipeline.snakemake("-n", "--mode", "remote", "--target-jobs", target, "--allowed-rules", "measure")
    assert done.returncode == 0, done.output
    assert done.jobs["measure"] == 1
    assert setup_id in done.output
