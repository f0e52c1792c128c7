"""The output of every experiment of a session in its warm-up, request by request: outputs.parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llenergymeasure.records.storage.atomic import whole

OUTPUTS = pa.schema(
    [
        ("experiment_id", pa.string()),
        ("request_index", pa.int32()),
        ("prompt_ids", pa.list_(pa.int32())),
        ("output_ids", pa.list_(pa.int32())),
    ]
)


def write_outputs(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the table, whole or not at all; without rows it has only its columns."""
    with whole(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=OUTPUTS), temporary)


def read_outputs(path: Path, experiment_id: str) -> list[dict[str, Any]]:
    """{prompt_ids, output_ids} of that experiment's requests, in order; none where it failed."""
    table = pq.read_table(path, filters=[("experiment_id", "=", experiment_id)]).sort_by("request_index")
    rows: list[dict[str, Any]] = table.select(["prompt_ids", "output_ids"]).to_pylist()
    return rows
