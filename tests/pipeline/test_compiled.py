"""torch.compile through the pipeline: compiled once by the load, reused later, and never inside a window."""

from __future__ import annotations

import json

import pytest
from harness import Pipeline, study

pytestmark = [pytest.mark.slow]


def test_what_the_load_compiled_is_an_artifact_that_later_processes_reuse(pipeline: Pipeline) -> None:
    pipeline.write(study(defaults={"pytorch": {"torch_compile": True}, "warmup": {"passes": 2}}))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    (folder,) = (pipeline.results() / "loads").iterdir()
    load = json.loads((folder / "load.json").read_text(encoding="utf-8"))
    assert load["compile"]["counts"]["frames_compiled"] > 0
    assert load["compile"]["counts"]["graph_breaks"] == 0
    assert any(entry["phase"] == "compile" and entry["energy_j"] > 0 for entry in load["energy"])
    assert any((folder / "compile-cache" / "fxgraph").iterdir())
    (calibration,) = (pipeline.results() / "batches").glob("*/calibration.json")
    (warm,) = json.loads(calibration.read_text(encoding="utf-8"))["experiments"].values()
    # The first pass of the warm-up takes what the load compiled from the cache.
    assert warm["latencies_s"][0] < load["compile"]["compile_s"] / 2
    (record,) = pipeline.records()
    assert record["evidence"]["pytorch.torch_compile"]["verdict"] == "applied"
    assert "; 0 more frames while the window was open" in record["evidence"]["pytorch.torch_compile"]["observed"]
    assert record["metrics"]["window_s"] > 0.2
