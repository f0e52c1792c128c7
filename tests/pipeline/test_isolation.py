"""Experiments that share a process cost what they cost alone: one study with `isolation: load` and `experiment`."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from harness import Pipeline, study

from llenergymeasure.results.split_plot import critical_t

REPLICATES = 5
METRICS = ("throughput_output_tokens_per_s", "ttft_s")
# An interval wider than this from end to end could hide a window that was not warm.
MEANINGFUL = 1.5
# Of resident sets. Libraries take some MB for good while a process works; timing varies, and memory does not.
SAME_MEMORY = 0.02

Figures = dict[str, dict[int, dict[str, Any]]]


def measure(pipeline: Pipeline, name: str, isolation: str, replicates: int) -> None:
    """The study in one mode, with so many replicates: those that are there already stay."""
    protocol = {"replicates": replicates, "min_window_s": 1.0, "isolation": isolation}
    defaults = {"n": 4, "max_output_tokens": 16, "warmup": {"passes": 3}}
    pipeline.write(study(study=name, defaults=defaults, matrix={"pytorch.batch_size": [1, 4]}, measurement=protocol))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output


def figures(pipeline: Pipeline, name: str) -> Figures:
    """experiment → replicate → record"""
    found: Figures = {}
    for record in pipeline.records(name):
        found.setdefault(record["experiment_id"], {})[record["replicate"]] = record
    return found


def intervals(together: Figures, apart: Figures) -> dict[str, tuple[float, float]]:
    """Ratio of the two modes for each experiment and metric: 95 % intervals that hold for all at once (Šidák).

    Replicates of one number ran beside each other, so they are compared in pairs: what drifts over minutes cancels.
    """
    confidence = 0.95 ** (1 / (len(together) * len(METRICS)))
    found = {}
    for metric in METRICS:
        for name, runs in together.items():
            logs = [
                math.log(record["metrics"][metric] / apart[name][replicate]["metrics"][metric])
                for replicate, record in runs.items()
            ]
            middle, error = statistics.fmean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
            half = critical_t(len(logs) - 1, confidence) * error
            found[f"{metric} of {name}"] = (math.exp(middle - half), math.exp(middle + half))
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_both_ways_of_isolation_give_the_same_figures(pipeline: Pipeline) -> None:
    modes = [("together", "load"), ("apart", "experiment")]
    for replicates in range(1, REPLICATES + 1):
        for name, isolation in modes if replicates % 2 else reversed(modes):
            measure(pipeline, name, isolation, replicates)
    together, apart = figures(pipeline, "together"), figures(pipeline, "apart")
    assert together.keys() == apart.keys()
    assert all(len(runs) == REPLICATES for runs in (*together.values(), *apart.values()))
    assert len({record["worker_pid"] for runs in together.values() for record in runs.values()}) == REPLICATES
    assert len({record["worker_pid"] for runs in apart.values() for record in runs.values()}) == 2 * REPLICATES
    for name in together:
        both = [*together[name].values(), *apart[name].values()]
        assert len({record["output_digest"] for record in both}) == 1
        peaks = [record["metrics"]["peak_memory_bytes"] for record in both]
        assert max(peaks) < (1 + SAME_MEMORY) * min(peaks)
    for what, (low, high) in intervals(together, apart).items():
        print(f"{what}: {low:.3f} to {high:.3f}")
        assert high / low < MEANINGFUL, f"{what}: {low:.3f} to {high:.3f} says too little; repeat on a quiet machine"
        assert low <= 1 <= high, f"{what}: {low:.3f} to {high:.3f}"
