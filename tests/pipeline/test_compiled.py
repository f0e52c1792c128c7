"""torch.compile through the pipeline: compiled once by the load job, reused later, and never inside a window."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import Pipeline, study

pytestmark = [pytest.mark.slow]


def test_what_the_load_compiled_is_an_artifact_that_later_processes_reuse(pipeline: Pipeline, tmp_path: Path) -> None:
    defaults = {"pytorch": {"torch_compile": True}, "warmup": {"passes": 2}}
    pipeline.write(study(defaults=defaults, measurement={"min_window_s": 0.6}))
    elsewhere = tmp_path / "elsewhere"
    done = pipeline.snakemake(TORCHINDUCTOR_CACHE_DIR=str(elsewhere))
    assert done.returncode == 0, done.output
    assert not elsewhere.exists() or not any(elsewhere.iterdir())
    (folder,) = (pipeline.results() / "setups").iterdir()
    load = json.loads((folder / "load.json").read_text(encoding="utf-8"))
    assert load["compile"]["counts"]["frames_compiled"] > 0
    assert load["compile"]["counts"]["graph_breaks"] == 0
    assert any(entry["phase"] == "compile" and entry["energy_j"] > 0 for entry in load["energy"])
    assert any((folder / "compile-cache" / "fxgraph").iterdir())
    # The warm-up and the measurement take what the load job compiled from the cache, and add nothing to it.
    graphs = [path for path in (folder / "compile-cache" / "fxgraph").rglob("*") if path.is_file()]
    assert max(path.stat().st_mtime_ns for path in graphs) < (folder / "load.json").stat().st_mtime_ns
    (record,) = pipeline.records()
    assert record["evidence"]["pytorch.torch_compile"]["verdict"] == "applied"
    assert "; 0 more frames while the window was open" in record["evidence"]["pytorch.torch_compile"]["observed"]
    # A calibration that counts what is compiled as a pass makes the window far too short, load makes it shorter.
    assert record["metrics"]["window_s"] > 0.2
