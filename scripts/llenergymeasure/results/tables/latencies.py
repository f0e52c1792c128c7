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
from llenergymeasure.results.statistics.estimates import CONFIDENCE
from llenergymeasure.results.statistics.percentiles import Counts, Percentile, Pooled, fewest_prompts
from llenergymeasure.results.statistics.strata.sums_of_squares import Floats
from llenergymeasure.results.tables.empty_cells import none_if_nan

_COLUMNS = ["experiment_id", "replicate", "pass_index", "batch_index", "prompt_digest", *REQUEST_LATENCIES]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
# The quantiles that the report quotes, each with an interval.
QUOTED = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Distribution:
    """Quantiles in seconds over `n` values, interpolated linearly between neighbours.

    Intervals are those of `percentiles.percentile`; None where it gives none. `ci95` is over processes, with these
    prompts; `prompts_ci95` over prompts and processes.

    prompts: independent ones: those of a batch share its steps, and count as one
    prompts_ci95_reason: why percentiles have no interval over prompts; None where all have one
    """

    n: int
    prompts: int
    p5: float
    p25: float
    p50: float
    p50_ci95_low: float | None
    p50_ci95_high: float | None
    p50_prompts_ci95_low: float | None
    p50_prompts_ci95_high: float | None
    p75: float
    p95: float
    p95_ci95_low: float | None
    p95_ci95_high: float | None
    p95_prompts_ci95_low: float | None
    p95_prompts_ci95_high: float | None
    p99: float
    p99_ci95_low: float | None
    p99_ci95_high: float | None
    p99_prompts_ci95_low: float | None
    p99_prompts_ci95_high: float | None
    largest: float
    prompts_ci95_reason: str | None

    def quoted(self, name: str) -> Percentile:
        """One of `QUOTED` with its intervals."""
        ends = (getattr(self, f"{name}_{over}_{end}") for over in ("ci95", "prompts_ci95") for end in ("low", "high"))
        return Percentile(self.n, self.prompts, getattr(self, name), *ends)


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
    """Distributions pooled over the requests of the `valid` (experiment, replicate) pairs: the runs that count.

    Inter-token latencies are single intervals between two tokens, not means of a request. Only the files of one
    session are in memory at a time.
    """
    latencies: Latencies = {}
    for _, files in groupby(sorted(paths), key=lambda path: path.parent.parent):
        pooled: dict[tuple[str, str], list[tuple[Floats, Counts]]] = {}
        numbers: dict[str, int] = {}
        for path in files:
            for experiment_id, metric, values, prompts in _read(path, valid, numbers):
                if len(values):
                    pooled.setdefault((experiment_id, metric), []).append((values, prompts))
        for (experiment_id, metric), parts in pooled.items():
            latencies.setdefault(experiment_id, {})[metric] = _distribution(parts, level)
    return latencies


def _read(
    path: Path, valid: Collection[tuple[str, int]], numbers: dict[str, int]
) -> Iterator[tuple[str, str, Floats, Counts]]:
    """(experiment, metric, known values, the number of each value's prompt) of the valid runs in a file.

    numbers: prompt digest → its number, in all files; new ones are added
    """
    try:
        table = pq.read_table(path, columns=_COLUMNS, read_dictionary=["prompt_digest"])
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(f"{path} cannot be read ({error}); delete {path.parent} and run again") from error
    # Rows of a run are adjacent, because experiments are measured one after the other.
    prompts = _prompt_numbers(table, numbers)
    for start, stop in _stretches(table):
        key = (table["experiment_id"][start].as_py(), table["replicate"][start].as_py())
        if key in valid:
            together = _generated_together(table.slice(start, stop - start), prompts[start:stop])
            for metric in REQUEST_LATENCIES:
                yield key[0], metric, *_values(table[metric].slice(start, stop - start), together)


def _prompt_numbers(table: pa.Table, numbers: dict[str, int]) -> Counts:
    digests = table["prompt_digest"].combine_chunks()
    here = [numbers.setdefault(digest, len(numbers)) for digest in digests.dictionary.to_pylist()]
    return np.asarray(here, dtype=np.int64)[digests.indices.to_numpy()]


def _generated_together(table: pa.Table, prompts: Counts) -> Counts:
    """Of each request, the least number of a prompt in its batch, which stands for the batch.

    The prompts of a batch share its steps, so their latencies are not independent. With continuous batching all
    requests of a process are one batch. The same batch of another pass is the same one.
    """
    passes, batches = (table[name].to_numpy().astype(np.int64) for name in ("pass_index", "batch_index"))
    places = passes * (1 + batches.max()) + batches
    least = np.full(1 + places.max(), np.iinfo(np.int64).max)
    np.minimum.at(least, places, prompts)
    together: Counts = least[places]
    return together


def _stretches(table: pa.Table) -> Iterator[tuple[int, int]]:
    """First row and end of each run of equal (experiment, replicate)."""
    if not table.num_rows:
        return
    names = table["experiment_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    replicates = table["replicate"].to_numpy()
    edges = np.flatnonzero((np.diff(names) != 0) | (np.diff(replicates) != 0)) + 1
    yield from pairwise([0, *map(int, edges), table.num_rows])


def _values(column: pa.ChunkedArray, prompts: Counts) -> tuple[Floats, Counts]:
    """The known values of some requests, and the number of each value's prompt."""
    if pa.types.is_list(column.type):
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        column, prompts = pc.list_flatten(column), np.repeat(prompts, lengths)
    values = np.asarray(column.to_numpy(), dtype=float)
    known = ~np.isnan(values)
    return (values, prompts) if known.all() else (values[known], prompts[known])


def _distribution(parts: Sequence[tuple[Floats, Counts]], level: float) -> Distribution:
    pooled = Pooled([values for values, _ in parts], [prompts for _, prompts in parts])
    figures: dict[str, Any] = {f"p{100 * share:g}": pooled.quantile(share) for share in QUANTILES}
    for name, quoted in zip(QUOTED, pooled.percentiles(list(QUOTED.values()), level), strict=True):
        figures |= {
            f"{name}_ci95_low": quoted.low,
            f"{name}_ci95_high": quoted.high,
            f"{name}_prompts_ci95_low": quoted.prompts_low,
            f"{name}_prompts_ci95_high": quoted.prompts_high,
        }
    return Distribution(
        n=len(pooled.values),
        prompts=pooled.prompts,
        **figures,
        largest=float(pooled.values[-1]),
        prompts_ci95_reason=_why_no_prompts(pooled),
    )


def _why_no_prompts(pooled: Pooled) -> str | None:
    if pooled.count < 2:
        return "one replicate"
    needs = {name: fewest_prompts(share) for name, share in QUOTED.items()}
    missing = [f"{name} needs {number}" for name, number in needs.items() if pooled.prompts < number]
    return f"{pooled.prompts} independent prompts: {', '.join(missing)}" if missing else None
