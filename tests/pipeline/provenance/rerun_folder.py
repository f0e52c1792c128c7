"""A results folder as a run leaves it behind when it begins: plan and provenance, nothing measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from harness import ROOT, study

from llenergymeasure.config import load_study
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.pipeline.plan.plan_index import index_from_plan
from llenergymeasure.pipeline.provenance.provenance import keep_provenance
from llenergymeasure.records.study.plan import Plan, write_plan

MATRIX = {"pytorch.attn_implementation": ["sdpa", "eager"], "pytorch.batch_size": [1, 2]}


def begun(results: Path, *, lock: Path = Path("no-lock"), **changes: Any) -> Plan:
    """Write results/<study>/ for a study of 2 setups × 2 batch sizes × 2 replicates, and give its plan."""
    written = results.parent / f"{results.name}.yaml"
    written.parent.mkdir(parents=True, exist_ok=True)
    measurement = {"replicates": 2, "seed": 7, "min_window_s": 0.3, **changes.pop("measurement", {})}
    content = study(**{"study": results.name, "matrix": MATRIX, "measurement": measurement, **changes})
    written.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return begun_from(written, results, lock)


def begun_from(written: Path, results: Path, lock: Path = Path("no-lock")) -> Plan:
    """The same for a study's file."""
    read = load_study(written, lock_path=lock)
    plan = plan_from_study(read, existing=None)
    write_plan(plan, results / "plan.json")
    keep_provenance(results, read, index_from_plan(plan), written=[written], lock=lock, root=ROOT)
    return plan
