"""How long the requests took: distributions from the requests.parquet files, column by column."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llenergymeasure.records.metrics import REQUEST_LATENCIES
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.statistics.estimates import CONFIDENCE, Estimate
from llenergymeasure.results.statistics.percentiles import Pooled
from llenergymeasure.results.statistics.sums_of_squares import Floats
from llenergymeasure.results.tables.empty_cells import none_if_nan

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
# The quantiles that the report quotes, each with an interval.
QUOTED = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Distribution:
    """Quantiles in seconds over `n` values, interpolated linearly between neighbours.

    Intervals are those of `percentiles.percentile`; None where it gives none.
    """

    n: int
    p5: float
    p25: float
    p50: float
    p50_ci95_low: float | None
    p50_ci95_high: float | None
    p75: float
    p95: float
    p95_ci95_low: float | None
    p95_ci95_high: float | None
    p99: float
    p99_ci95_low: float | None
    p99_ci95_high: float | None
    largest: float

    def quoted(self, name: str) -> Estimate:
        """One of `QUOTED` with its interval."""
        return Estimate(self.n, getattr(self, name), *(getattr(self, f"{name}_ci95_{end}") for end in ("low", "high")))


Latencies = dict[str, dict[str, Distribution]]
"""experiment_id → metric → distribution; a metric without a value (no second token, say) has no entry"""


def write_latencies(latencies: Latencies, path: Path) -> None:
    """latencies.csv: one row per experiment and metric, in seconds. Empty where there is no interval."""
    names = [item.name for item in fields(Distribution)]
    rows = [
        (name, metric, distribution) for name, metrics in latencies.items() for metric, distribution in metrics.items()
    ]
    columns = {name: [getattr(distribution, name) for _, _, distribution in rows] for name in names}
    keys = {"experiment_id": [name for name, _, _ in rows], "metric": [metric for _, metric, _ in rows]}
    pd.DataFrame({**keys, **columns}).to_csv(path, index=False)


def latencies_from_table(table: pd.DataFrame) -> Latencies:
    """The latencies in a table that `write_latencies` wrote."""
    latencies: Latencies = {}
    for row in table.to_dict("records"):
        name, metric = str(row.pop("experiment_id")), str(row.pop("metric"))
        values: dict[str, Any] = {str(key): none_if_nan(value) for key, value in row.items()}
        latencies.setdefault(name, {})[metric] = Distribution(**values)
    return latencies


def read_latencies(paths: Sequence[Path], valid: Collection[tuple[str, int]], level: float = CONFIDENCE) -> Latencies:
    """Distributions pooled over the requests of the `valid` (experiment, replicate) pairs.

    Inter-token latencies are single intervals between two tokens, not means of a request. Only the files of one
    session are in memory at a time.
    """
    latencies: Latencies = {}
    for _, files in groupby(sorted(paths), key=lambda path: path.parent.parent):
        pooled: dict[tuple[str, str], list[Floats]] = {}
        for path in files:
            for experiment_id, metric, values in _read(path, valid):
                if len(values):
                    pooled.setdefault((experiment_id, metric), []).append(values)
        for (experiment_id, metric), parts in pooled.items():
            latencies.setdefault(experiment_id, {})[metric] = _distribution(parts, level)
    return latencies


def _read(path: Path, valid: Collection[tuple[str, int]]) -> Iterator[tuple[str, str, Floats]]:
    """(experiment, metric, known values) of the valid runs in a file."""
    try:
        table = pq.read_table(path, columns=["experiment_id", "replicate", *REQUEST_LATENCIES])
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(f"{path} cannot be read ({error}); delete {path.parent} and run again") from error
    # Rows of a run are adjacent, because experiments are measured one after the other.
    for start, stop in _stretches(table):
        key = (table["experiment_id"][start].as_py(), table["replicate"][start].as_py())
        if key in valid:
            for metric in REQUEST_LATENCIES:
                yield key[0], metric, _values(table[metric].slice(start, stop - start))


def _stretches(table: pa.Table) -> Iterator[tuple[int, int]]:
    """First row and end of each run of equal (experiment, replicate)."""
    if not table.num_rows:
        return
    names = table["experiment_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    replicates = table["replicate"].to_numpy()
    edges = np.flatnonzero((np.diff(names) != 0) | (np.diff(replicates) != 0)) + 1
    yield from pairwise([0, *map(int, edges), table.num_rows])


def _values(column: pa.ChunkedArray) -> Floats:
    flat = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    return np.asarray(flat.drop_null().to_numpy(), dtype=float)


def _distribution(parts: Sequence[Floats], level: float) -> Distribution:
    pooled = Pooled(parts)
    figures: dict[str, Any] = {f"p{100 * share:g}": pooled.quantile(share) for share in QUANTILES}
    for name, quoted in zip(QUOTED, pooled.percentiles(list(QUOTED.values()), level), strict=True):
        figures |= {f"{name}_ci95_low": quoted.low, f"{name}_ci95_high": quoted.high}
    return Distribution(n=len(pooled.values), **figures, largest=float(pooled.values[-1]))
