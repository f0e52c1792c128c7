"""A study's folder as the pipeline leaves it, made from seeded random numbers instead of measurements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from results.made_up_run import ESTIMATED, MadeUpRun
from results.record_changes import Change
from results.record_parts import environment, ledger_entry

from llenergymeasure.config import CostsConfig, SloConfig, study_from_mapping
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.storage.files import REQUESTS
from llenergymeasure.records.study.plan import Plan, write_plan
from llenergymeasure.results.reading.read import StudyResults, read_loads, read_plan, read_study
from llenergymeasure.results.tables.aggregate import aggregate
from llenergymeasure.results.tables.costs import write_costs

MEASURED = "measured:nvml-total-energy"
MODEL = "random:llama?hidden_size=32&num_hidden_layers=2"


@dataclass
class StudyFolder:
    """results/<study>/: write it, break it, aggregate it, read it."""

    root: Path
    plan: Plan
    source: str = ESTIMATED
    tokens_per_request: int = 16
    requests: int = 8
    changes: dict[tuple[str, int], list[Change]] = field(default_factory=dict)
    costs: CostsConfig = field(default_factory=CostsConfig)
    slo: SloConfig = field(default_factory=SloConfig)

    @property
    def ids(self) -> list[str]:
        return list(self.plan.experiments)

    def change(self, experiment: int, replicate: int, change: Change) -> None:
        """Alter the record of one run (experiments by their place in the plan, replicates from 1)."""
        self.changes.setdefault((self.ids[experiment], replicate), []).append(change)

    def measurements(self) -> list[Path]:
        return [
            self.root / "sessions" / session / str(number) / "measurements.jsonl" for session, number in self.plan.order
        ]

    def setups(self) -> list[Path]:
        return [self.root / "setups" / name / "load.json" for name in self.plan.setup_ids]

    def write(self) -> StudyFolder:
        write_plan(self.plan, self.root / "plan.json")
        for path, setup_id in zip(self.setups(), self.plan.setup_ids, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(self._load(setup_id)), encoding="utf-8")
        for path, (session_id, replicate) in zip(self.measurements(), self.plan.order, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            lines, rows = [], []
            for name in self.plan.session(session_id).experiments:
                record, requests = self._record(name, session_id, replicate)
                for change in self.changes.get((name, replicate), []):
                    change(record)
                lines.append(json.dumps(record) + "\n")
                rows += requests if record["status"] != "failed" else []
            path.write_text("".join(lines), encoding="utf-8")
            pq.write_table(pa.Table.from_pylist(rows, schema=REQUESTS), path.with_name("requests.parquet"))
        return self

    def aggregate(self) -> StudyFolder:
        plan = read_plan(self.root / "plan.json", self.measurements(), [])
        aggregate(
            plan,
            self.measurements(),
            read_loads(plan, self.setups()),
            csv=self.root / "summary.csv",
            parquet=self.root / "summary.parquet",
            runs=self.root / "runs.parquet",
            latencies=self.root / "latencies.csv",
            token_costs_csv=self.root / "token_costs.csv",
            slo=self.slo,
        )
        write_costs(self.root / "summary.parquet", self.costs, self.root / "costs.csv")
        return self

    def read(self) -> StudyResults:
        return read_study(
            self.root / "plan.json",
            self.root / "summary.parquet",
            self.root / "runs.parquet",
            self.root / "costs.csv",
            self.root / "latencies.csv",
            self.measurements(),
            self.setups(),
        )

    def results(self) -> StudyResults:
        return self.write().aggregate().read()

    def _record(self, name: str, session_id: str, replicate: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """A record and its requests."""
        run = MadeUpRun(self.plan, name, session_id, replicate, self.source, self.requests, self.tokens_per_request)
        return run.record(), run.rows

    def _load(self, setup_id: str) -> dict[str, Any]:
        settings = self.plan.setup_config(setup_id)["pytorch"]
        seconds = 9.4 if settings["load_in_8bit"] else 1.9
        return {
            "schema_version": SCHEMA_VERSION,
            "setup_id": setup_id,
            "status": "ok",
            "failure": None,
            "config": self.plan.setup_config(setup_id),
            "environment": environment(),
            "weights": {"model": "1d" * 32},
            "load_s": seconds,
            "energy": [ledger_entry("load", self.source, 27.0 * seconds, seconds, 0.5)],
            "memory": {
                "load_peak_bytes": 1_310_000_000 if settings["load_in_8bit"] else 1_120_000_000,
                "resident_bytes": 190_000_000 if settings["load_in_8bit"] else 540_000_000,
                "source": "resident set of the process (VmHWM)",
            },
            "compile": None,
            "evidence": {},
        }


def study_folder(
    root: Path,
    *,
    matrix: Mapping[str, Sequence[Any]] | None = None,
    replicates: int = 3,
    source: str = ESTIMATED,
    **more: Any,
) -> StudyFolder:
    """A folder of a study over `matrix` (2 attention kernels × 2 batch sizes where none is given), not yet written."""
    mapping = {
        "study": root.name,
        "defaults": {"model": MODEL, "precision": "fp32"},
        "matrix": matrix or {"pytorch.attn_implementation": ["sdpa", "eager"], "pytorch.batch_size": [1, 4]},
        "measurement": {"replicates": replicates},
        **more,
    }
    return StudyFolder(root, plan_from_study(study_from_mapping(mapping, source=None), existing=None), source)
