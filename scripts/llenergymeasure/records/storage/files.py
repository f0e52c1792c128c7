"""From a journal to the files of a replicate: measurements.jsonl, requests.parquet, power.parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llenergymeasure.records.storage.atomic import whole
from llenergymeasure.records.storage.journal import Journal

KEY = [("experiment_id", pa.string()), ("session_id", pa.string()), ("replicate", pa.int32())]
REQUESTS = pa.schema(
    [
        *KEY,
        ("pass_index", pa.int32()),
        ("request_index", pa.int32()),
        ("batch_index", pa.int32()),
        ("prompt_digest", pa.string()),
        ("input_tokens", pa.int32()),
        ("output_tokens", pa.int32()),
        ("padded_tokens", pa.int32()),
        ("ttft_s", pa.float64()),
        ("itl_s", pa.list_(pa.float64())),
        ("e2e_latency_s", pa.float64()),
        ("service_ttft_s", pa.float64()),
        ("service_e2e_latency_s", pa.float64()),
        ("stop_reason", pa.string()),
        ("output_digest", pa.string()),
    ]
)
POWER = pa.schema(
    [
        *KEY,
        ("monotonic_s", pa.float64()),
        ("phase", pa.string()),
        ("device", pa.string()),
        ("power_w", pa.float64()),
        ("energy_counter_j", pa.float64()),
        ("source", pa.string()),
        ("temperature_c", pa.float64()),
        ("sm_clock_mhz", pa.float64()),
        ("memory_clock_mhz", pa.float64()),
        ("throttle_reasons", pa.list_(pa.string())),
    ]
)


def write_tables(journal: Journal, measurements: Path, requests: Path, power: Path) -> None:
    """Write the three files of a replicate; each appears whole or not at all."""
    with (
        whole(measurements) as lines_path,
        whole(requests) as requests_path,
        whole(power) as power_path,
        lines_path.open("w", encoding="utf-8") as lines,
        pq.ParquetWriter(requests_path, REQUESTS) as requests_table,
        pq.ParquetWriter(power_path, POWER) as power_table,
    ):
        for entry in journal.entries():
            record = entry["record"]
            lines.write(json.dumps(record, allow_nan=False) + "\n")
            key = {name: record[name] for name, _ in KEY}
            _append(requests_table, REQUESTS, key, entry["requests"])
            _append(power_table, POWER, key, entry["power"])


def _append(table: pq.ParquetWriter, schema: pa.Schema, key: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    if rows:
        table.write_table(pa.Table.from_pylist([{**key, **row} for row in rows], schema=schema))
