"""Claim: 10,000 experiments × 3 replicates × 100 requests (3 million rows) are aggregated in 30 s and 2 GiB.

The lines are as long as real ones (34 KB: ledger, evidence and budgets of every figure), 16 output tokens per request.
The ratio compares the time with that of only reading the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from results.study_folder import MEASURED, StudyFolder, study_folder  # noqa: E402

SETUPS, SETTINGS, REPLICATES, REQUESTS, TOKENS = 500, 20, 3, 100, 16
LINE_BYTES = 34_000
DIGESTS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(REQUESTS)]
LIMIT_S, LIMIT_BYTES = 30.0, 2 * 2**30
AGGREGATE = """
import resource, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from llenergymeasure.results.tables.aggregate import aggregate
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.results.reading.read import read_loads, read_plan
root = Path(sys.argv[2])
layout = Layout(root)
drawn = read_plan(layout.plan, [], [])
paths = [layout.measurements(session, number) for session, number in drawn.order]
plan = read_plan(layout.plan, paths, [])
setups = [layout.load(name) for name in drawn.setup_ids]
names = ("summary.csv", "summary.parquet", "runs.parquet", "latencies.csv", "token_costs.csv")
csv, parquet, runs, latencies, token_costs = (root / name for name in names)
aggregate(plan, paths, read_loads(plan, setups), csv=csv, parquet=parquet, runs=runs, latencies=latencies,
          token_costs_csv=token_costs, processes=2)
largest = {who: resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)}
print(largest[resource.RUSAGE_SELF] + 2 * largest[resource.RUSAGE_CHILDREN])
"""


def main() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "bench")
        size = _write(root)
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", AGGREGATE, str(ROOT / "scripts"), str(root)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        taken_s = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak = int(done.stdout.split()[-1])
        start = time.perf_counter()
        for path in root.rglob("*"):
            if path.is_file():
                path.read_bytes()
        floor_s = time.perf_counter() - start
    print(
        f"aggregation: {SETUPS * SETTINGS:,} experiments × {REPLICATES} replicates × {REQUESTS} requests, "
        f"{size / 2**30:.2f} GiB of lines: {taken_s:.1f} s (limit {LIMIT_S:g}; {used.ru_utime + used.ru_stime:.1f} s "
        f"of processor time in two processes), {peak / 2**30:.2f} GiB "
        f"(limit {LIMIT_BYTES / 2**30:g}), {taken_s / floor_s:.1f} times reading the files"
    )
    return taken_s <= LIMIT_S and peak <= LIMIT_BYTES


def _write(root: Path) -> int:
    """Write the study's folder; returns the bytes of its lines. Figures differ between runs, the rest is repeated."""
    folder = study_folder(
        root,
        matrix={
            "cpu_threads": list(range(1, SETUPS + 1)),
            "pytorch.batch_size": list(range(1, SETTINGS + 1)),
        },
        replicates=REPLICATES,
        source=MEASURED,
    )
    plan = folder.plan
    _write_plan_and_setups(folder)
    rng = np.random.default_rng(7)
    written = 0
    for session_id, replicate in plan.order:
        target = root / "sessions" / session_id / str(replicate)
        target.mkdir(parents=True)
        members = plan.session(session_id).experiments
        template, _ = folder._record(members[0], session_id, replicate)
        lines = [_line(template, plan.experiments[name].config, name, rng) for name in members]
        (target / "measurements.jsonl").write_text("".join(lines), encoding="utf-8")
        written += sum(map(len, lines))
        pq.write_table(_requests(members, session_id, replicate, rng), target / "requests.parquet")
    return written


def _write_plan_and_setups(folder: StudyFolder) -> None:
    from llenergymeasure.records.study.plan import write_plan

    write_plan(folder.plan, folder.root / "plan.json")
    for setup_id in folder.plan.setup_ids:
        path = folder.root / "setups" / setup_id / "load.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(folder._load(setup_id)), encoding="utf-8")


def _line(template: dict[str, Any], config: dict[str, Any], name: str, rng: np.random.Generator) -> str:
    factor = float(rng.lognormal(0, 0.02))
    metrics = {key: value * factor if isinstance(value, float) else value for key, value in template["metrics"].items()}
    record = {**template, "experiment_id": name, "config": config, "metrics": metrics}
    text = json.dumps(record)
    # The rest of a real line: more ledger entries, as they are.
    entry = json.dumps(template["energy"][0])
    record["energy"] = template["energy"] * (1 + max(0, LINE_BYTES - len(text)) // (2 * len(entry)))
    return json.dumps(record) + "\n"


def _requests(members: tuple[str, ...], session_id: str, replicate: int, rng: np.random.Generator) -> pa.Table:
    rows = len(members) * REQUESTS
    gaps = rng.lognormal(np.log(0.02), 0.1, rows * (TOKENS - 1))
    offsets = np.arange(0, rows * (TOKENS - 1) + 1, TOKENS - 1, dtype=np.int32)
    ttft = rng.lognormal(np.log(0.05), 0.1, rows)
    e2e = ttft + np.add.reduceat(gaps, offsets[:-1])
    # A request is a batch of its own, and waits for those before it in the pass.
    batches = e2e.reshape(len(members), REQUESTS)
    queued = (np.cumsum(batches, axis=1) - batches).ravel()
    return pa.table(
        {
            "experiment_id": np.repeat(members, REQUESTS),
            "session_id": [session_id] * rows,
            "replicate": np.full(rows, replicate, dtype=np.int64),
            "pass_index": np.zeros(rows, dtype=np.int32),
            "request_index": np.tile(np.arange(REQUESTS), len(members)),
            "batch_index": np.tile(np.arange(REQUESTS), len(members)),
            "prompt_digest": np.tile(DIGESTS, len(members)),
            "ttft_s": queued + ttft,
            "itl_s": pa.ListArray.from_arrays(offsets, gaps),
            "e2e_latency_s": queued + e2e,
            "service_ttft_s": ttft,
            "service_e2e_latency_s": e2e,
        }
    )
