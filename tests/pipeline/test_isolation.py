"""Experiments that share a process cost what they cost alone: one study with `isolation: load` and `experiment`."""

from __future__ import annotations

import math
from typing import Any

import pytest
from harness import Pipeline, study

from llenergymeasure.results.split_plot import analyse, critical_t

REPLICATES = 4
METRICS = ("throughput_output_tokens_per_s", "ttft_s")
# An interval wider than this from end to end could hide a window that was not warm.
MEANINGFUL = 1.5
# Of resident sets. Libraries take some MB for good while a process works; timing varies, and memory does not.
SAME_MEMORY = 0.02

Figures = dict[str, dict[int, dict[str, Any]]]


def measured(pipeline: Pipeline, name: str, isolation: str) -> Figures:
    """experiment → replicate → record of the study in one mode."""
    pipeline.write(
        study(
            study=name,
            defaults={"n": 4, "max_output_tokens": 16, "warmup": {"passes": 3}},
            matrix={"pytorch.batch_size": [1, 4]},
            measurement={"replicates": REPLICATES, "min_window_s": 1.0, "isolation": isolation},
        )
    )
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    found: Figures = {}
    for record in pipeline.records(name):
        found.setdefault(record["experiment_id"], {})[record["replicate"]] = record
    return found


def intervals(together: Figures, apart: Figures) -> dict[str, tuple[float, float]]:
    """Ratio of the two modes for each experiment and metric: intervals that hold for all at once (Šidák), 95 %."""
    confidence = 0.95 ** (1 / (len(together) * len(METRICS)))
    found = {}
    for metric in METRICS:
        values = {
            f"{mode} {name}": {replicate: record["metrics"][metric] for replicate, record in runs.items()}
            for mode, figures in (("together", together), ("apart", apart))
            for name, runs in figures.items()
        }
        batches = {name: "one process" if name.startswith("together") else name for name in values}
        analysis = analyse(values, batches)
        for name in together:
            ratio = analysis.difference(f"together {name}", f"apart {name}")
            assert ratio is not None and not ratio.same_batch
            half = critical_t(ratio.df, confidence) * ratio.standard_error
            found[f"{metric} of {name}"] = (math.exp(ratio.value - half), math.exp(ratio.value + half))
    return found


@pytest.mark.slow
def test_both_ways_of_isolation_give_the_same_figures(pipeline: Pipeline) -> None:
    together = measured(pipeline, "together", "load")
    apart = measured(pipeline, "apart", "experiment")
    assert together.keys() == apart.keys()
    processes = {record["worker_pid"] for runs in together.values() for record in runs.values()}
    assert len(processes) == REPLICATES
    for name in together:
        both = [*together[name].values(), *apart[name].values()]
        assert len({record["output_digest"] for record in both}) == 1
        peaks = [record["metrics"]["peak_memory_bytes"] for record in both]
        assert max(peaks) < (1 + SAME_MEMORY) * min(peaks)
    for what, (low, high) in intervals(together, apart).items():
        print(f"{what}: {low:.3f} to {high:.3f}")
        assert high / low < MEANINGFUL, f"{what}: {low:.3f} to {high:.3f} says too little; repeat on a quiet machine"
        assert low <= 1 <= high, f"{what}: {low:.3f} to {high:.3f}"
