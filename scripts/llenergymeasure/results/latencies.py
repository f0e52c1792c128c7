"""How long the requests took: distributions from the requests.parquet files, column by column."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llenergymeasure.results.errors import ResultsError

LATENCIES = ("ttft_s", "itl_s", "e2e_latency_s")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Distribution:
    """Quantiles in seconds over `n` values, interpolated linearly between neighbours."""

    n: int
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float
    p99: float
    largest: float


def read_latencies(paths: Sequence[Path], valid: Collection[tuple[str, int]]) -> dict[str, dict[str, Distribution]]:
    """experiment_id → metric → distribution, pooled over the requests of the `valid` (experiment, replicate) pairs.

    Inter-token latencies are single intervals between two tokens, not means of a request. Only the files of one
    batch are in memory at a time. A metric without a value (no second token, say) has no entry.
    """
    found: dict[str, dict[str, Distribution]] = {}
    for _, files in groupby(sorted(paths), key=lambda path: path.parent.parent):
        pooled: dict[tuple[str, str], list[np.ndarray[Any, Any]]] = {}
        for path in files:
            for experiment_id, table in _by_experiment(path, valid):
                for metric in LATENCIES:
                    pooled.setdefault((experiment_id, metric), []).append(_values(table[metric]))
        for (experiment_id, metric), parts in pooled.items():
            values = np.concatenate(parts)
            if len(values):
                found.setdefault(experiment_id, {})[metric] = _distribution(values)
    return found


def _by_experiment(path: Path, valid: Collection[tuple[str, int]]) -> list[tuple[str, pa.Table]]:
    try:
        table = pq.read_table(path, columns=["experiment_id", "replicate", *LATENCIES])
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(f"{path} can't be read ({error}); delete {path.parent} and run again") from error
    keys = table.select(["experiment_id", "replicate"]).group_by(["experiment_id", "replicate"]).aggregate([])
    return [
        (key["experiment_id"], table.filter(_is(table, key)))
        for key in keys.to_pylist()
        if (key["experiment_id"], key["replicate"]) in valid
    ]


def _is(table: pa.Table, key: dict[str, Any]) -> Any:
    same_experiment = pc.equal(table["experiment_id"], key["experiment_id"])
    return pc.and_(same_experiment, pc.equal(table["replicate"], key["replicate"]))


def _values(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    flat = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    return np.asarray(flat.drop_null().to_numpy(), dtype=float)


def _distribution(values: np.ndarray[Any, Any]) -> Distribution:
    p5, p25, p50, p75, p95, p99 = (float(value) for value in np.quantile(values, QUANTILES))
    return Distribution(len(values), p5, p25, p50, p75, p95, p99, float(values.max()))
