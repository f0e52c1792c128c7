"""Figures of the acceptance study's records: pure functions of the lines and load records."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

# The source of energy that is expected of a board.
COUNTER = "measured:nvml-total-energy"
JOULES = "energy_per_output_token_j"
SPEED = "throughput_output_tokens_per_s"
METRICS = (
    JOULES,
    "net_energy_per_output_token_j",
    SPEED,
    "ttft_s",
    "tpot_s",
    "peak_memory_bytes",
    "window_s",
    "pass_cv",
    "average_power_w",
    "prefill_energy_j",
    "prefill_energy_trace_j",
)
PROVEN = ("attn_implementation", "cache_implementation", "torch_compile", "compile_config")
DYNAMIC, STATIC = "dynamic", "static"
# Three experiments, two replicates each.
EXPECTED = 6

Record = Mapping[str, Any]


def read_records(results: Path) -> tuple[list[dict[str, Any]], int]:
    """Every measured record of a study's folder, and how many lines cannot be read.

    A replicate that was stopped has no measurements.jsonl yet: the records that it had finished are in its journal.
    """
    records, unreadable = [], 0
    for folder in sorted((results / "sessions").glob("*/*/")):
        measurements = folder / "measurements.jsonl"
        journals = [] if measurements.is_file() else sorted(folder.glob(".journal/*.jsonl"))
        finished, lost = _read(measurements.read_bytes().splitlines() if measurements.is_file() else ())
        entries, broken = _read(line for path in journals for line in path.read_bytes().splitlines())
        journalled = [entry["record"] for entry in entries if isinstance(entry.get("record"), dict)]
        records += [*finished, *journalled]
        unreadable += lost + broken + len(entries) - len(journalled)
    return records, unreadable


def read_loads(results: Path) -> tuple[list[dict[str, Any]], int]:
    """Every load record of a study's folder, and how many cannot be read."""
    return _read(path.read_bytes() for path in sorted((results / "setups").glob("*/load.json")))


def _read(texts: Iterable[bytes]) -> tuple[list[dict[str, Any]], int]:
    """The texts that hold a mapping; a study that was stopped may leave half a line."""
    records, unreadable = [], 0
    for text in texts:
        try:
            record = json.loads(text)
        except ValueError:
            record = None
        if isinstance(record, dict):
            records.append(record)
        else:
            unreadable += 1
    return records, unreadable


def study_figures(records: Sequence[Record], loads: Sequence[Record], unreadable: int = 0) -> dict[str, Any]:
    """The figures that are judged and those that are only shown.

    unreadable: of the study's lines and load records; no other figure contains them
    by_counter: records whose energy is that of the board's counter
    joules_cv, speed_cv: of each experiment's replicates, the largest (coefficient of variation)
    joules_cv_pooled: of all experiments together, the root of the mean square
    static_over_dynamic: joules per token, means over replicates, at the same batch size
    """
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[configuration_label(record)].append(record)
    variations = [_variation(members, JOULES) for members in groups.values()]
    resident = next((load["memory"]["resident_bytes"] for load in loads if load.get("memory")), None)
    return {
        "records": len(records),
        "unreadable": unreadable,
        "by_counter": sum(record.get("energy_source") == COUNTER for record in records),
        "ok_and_valid": sum(is_ok_and_valid(record) for record in records),
        "codes": dict(Counter(code for record in records for code in verdict_codes(record))),
        "joules_cv": _largest(variations),
        "joules_cv_pooled": _pooled(variations),
        "speed_cv": _largest(_variation(members, SPEED) for members in groups.values()),
        "static_over_dynamic": _static_over_dynamic(records),
        "loads": [_load(load) for load in loads],
        "experiments": {label: [_one(record, resident) for record in members] for label, members in groups.items()},
    }


def configuration_label(record: Record) -> str:
    settings = _settings(record)
    return " ".join(f"{name}={value}" for name, value in sorted(settings.items()) if value is not None)


def _settings(record: Record) -> Record:
    """The settings of the library; a record that failed before they were known has none."""
    return (record.get("config") or {}).get("pytorch") or {}


def is_ok_and_valid(record: Record) -> bool:
    return record.get("status") == "ok" and (record.get("validity") or {}).get("verdict") == "valid"


def verdict_codes(record: Record) -> list[str]:
    """The codes of the run's findings, or of its failure."""
    failure = record.get("failure")
    if failure:
        return [f"failed: {failure['error_class']}" if "error_class" in failure else f"failed: {failure}"]
    return [reason["code"] for reason in (record.get("validity") or {}).get("reasons", [])]


def _variation(members: Sequence[Record], metric: str) -> float | None:
    values = _values(members, metric)
    return statistics.stdev(values) / statistics.fmean(values) if len(values) > 1 else None


def _values(members: Sequence[Record], metric: str) -> list[float]:
    values = [(record.get("metrics") or {}).get(metric) for record in members]
    return [value for value in values if value is not None]


def _largest(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None


def _pooled(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.sqrt(statistics.fmean(value**2 for value in known)) if known else None


def _static_over_dynamic(records: Sequence[Record]) -> float | None:
    by_cache: dict[str, list[Record]] = defaultdict(list)
    static = [item for item in records if _settings(item).get("cache_implementation") == STATIC]
    rows = {_settings(item).get("batch_size") for item in static}
    for record in records:
        settings = _settings(record)
        if settings.get("batch_size") in rows:
            by_cache[settings.get("cache_implementation") or DYNAMIC].append(record)
    means = {name: _values(members, JOULES) for name, members in by_cache.items()}
    if not means.get(STATIC) or not means.get(DYNAMIC):
        return None
    return statistics.fmean(means[STATIC]) / statistics.fmean(means[DYNAMIC])


def _one(record: Record, resident_bytes: int | None) -> dict[str, Any]:
    """The figures of one record; `cache_left_bytes` is the memory beside the weights when the window opens."""
    metrics, evidence = record.get("metrics") or {}, record.get("evidence") or {}
    at_window = (record.get("memory") or {}).get("at_window")
    left_bytes = None
    if at_window is not None and resident_bytes is not None:
        left_bytes = at_window["in_use_bytes"] - resident_bytes
    entries = [item for item in record.get("energy") or [] if item["phase"] == "generate"]
    return {
        "replicate": record.get("replicate"),
        "status": record.get("status"),
        "verdict": (record.get("validity") or {}).get("verdict"),
        "codes": verdict_codes(record),
        "metrics": {name: metrics.get(name) for name in METRICS},
        "source": record.get("energy_source"),
        "counter_over_power": [(item.get("cross_check") or {}).get("ratio") for item in entries],
        "expanded95_share": [
            item["expanded_uncertainty_j"] / item["energy_j"]
            for item in entries
            if item["energy_j"] and item["expanded_uncertainty_j"]
        ],
        "resolution_window_s": (record.get("calibration") or {}).get("resolution_window_s"),
        "phases_agree": (record.get("phases") or {}).get("agrees"),
        "cache_left_bytes": left_bytes,
        "evidence": {name: evidence[f"pytorch.{name}"]["observed"] for name in PROVEN if f"pytorch.{name}" in evidence},
        "ignored": [name for name, item in evidence.items() if item["verdict"] == "ignored"],
        "warnings": sorted({item["code"] for item in record.get("warnings") or []}),
    }


def _load(load: Record) -> dict[str, Any]:
    return {
        "status": load.get("status"),
        "failure": load.get("failure"),
        "load_s": load.get("load_s"),
        "memory": load.get("memory"),
        "energy": {item["phase"]: item["energy_j"] for item in load.get("energy") or []},
    }
