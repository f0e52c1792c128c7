"""What docs/metrics.md says, computed again from the raw files of a study."""

from __future__ import annotations

import ast
import math
import statistics
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from llenergymeasure.records.metrics import METRICS, QUANTITIES

FAMILIES = ("measured:", "estimated:")
OF_A_REQUEST = (
    *("output_tokens", "input_tokens", "padded_tokens", "ttft_s", "e2e_latency_s"),
    *("service_ttft_s", "service_e2e_latency_s"),
)


def raw_quantities(record: dict[str, Any], requests_file: Path, slo: dict[str, float] | None = None) -> dict[str, Any]:
    """Everything the page lists, from a line of measurements.jsonl and the requests beside it.

    slo: the most that `ttft_s` and `tpot_s` of a request may be
    """
    table = pq.read_table(requests_file).to_pandas()
    rows = table[(table["experiment_id"] == record["experiment_id"]) & (table["replicate"] == record["replicate"])]
    one_pass = rows[rows["pass_index"] == 0]
    start_s, end_s = _edges(record, "generate")
    quantities = {
        "gross_j": _joules(record, "generate", start_s),
        "window_s": end_s - start_s,
        "prefill_j": _joules(record, "prefill", _edges(record, "prefill")[0]),
        "baseline_w": _baseline_w(record, (start_s + end_s) / 2),
        "requests": len(rows),
        "prompts": len(one_pass),
        "prompt_tokens": int(one_pass["input_tokens"].sum()),
        "prefill_passes": record["calibration"]["prefill_passes"],
        "request_tpot_s": [sum(gaps) / len(gaps) for gaps in rows["itl_s"]],
        **{name: list(rows[name]) for name in OF_A_REQUEST},
        **{f"gross_{domain}_j": _joules(record, "generate", start_s, domain) for domain in ("gpu", "cpu", "dram")},
        "slo_requests": sum(_inside(row, slo or {}) for row in rows.to_dict("records")),
    }
    assert set(quantities) == set(QUANTITIES)
    return quantities


def evaluate(metric: str, quantities: dict[str, Any]) -> float:
    """The declared formula of a metric, over raw quantities."""
    formula = METRICS[metric].formula
    # A formula may name other metrics; a name that is a metric and a quantity is the quantity.
    others = {
        name: evaluate(name, quantities)
        for name in {word.id for word in ast.walk(ast.parse(formula)) if isinstance(word, ast.Name)} - set(quantities)
        if name in METRICS
    }
    names = {"mean": statistics.fmean, "sum": math.fsum, **others, **quantities}
    value: float = eval(formula, {"__builtins__": {}}, names)  # noqa: S307  our own formulas
    return value


def _edges(record: dict[str, Any], phase: str) -> tuple[float, float]:
    (edges,) = {
        (entry["start_monotonic_s"], entry["end_monotonic_s"]) for entry in record["energy"] if entry["phase"] == phase
    }
    return edges


def _inside(row: dict[str, Any], slo: dict[str, float]) -> bool:
    gaps = row["itl_s"]
    tpot_s = sum(gaps) / len(gaps) if len(gaps) else 0.0
    return bool(row["ttft_s"] <= slo.get("ttft_s", math.inf) and tpot_s <= slo.get("tpot_s", math.inf))


def _joules(record: dict[str, Any], phase: str, start_s: float, domain: str | None = None) -> float:
    entries = [entry for entry in record["energy"] if entry["phase"] == phase and entry["start_monotonic_s"] == start_s]
    for family in FAMILIES:
        chosen = [entry for entry in entries if entry["source"].startswith(family)]
        if chosen:
            return math.fsum(entry["energy_j"] for entry in chosen if domain in (None, entry["domain"]))
    raise AssertionError(f"no energy in {phase}")


def _baseline_w(record: dict[str, Any], middle_s: float) -> float:
    edges = {
        (entry["start_monotonic_s"], entry["end_monotonic_s"])
        for entry in record["energy"]
        if entry["phase"] == "idle_resident"
    }
    (before_s, before_w), (after_s, after_w) = sorted(
        ((start_s + end_s) / 2, _joules(record, "idle_resident", start_s) / (end_s - start_s))
        for start_s, end_s in edges
    )
    assert before_s < middle_s < after_s
    return before_w + (after_w - before_w) * (middle_s - before_s) / (after_s - before_s)
