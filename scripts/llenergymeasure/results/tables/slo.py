"""Which requests are inside the study's service-level objective, and what a request inside cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llenergymeasure.config.settings.slo import SloConfig
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.statistics.strata.sums_of_squares import Floats
from llenergymeasure.results.tables.empty_cells import float_or_none

Shares = dict[tuple[str, int], float]
"""(experiment_id, replicate) → share of its requests inside"""
NOT_SET = "the study sets no slo"
# What a figure per request inside scales with: that of a request, and its uncertainties.
_ENERGY = ("", "_u_random", "_u_gain", "_u_other_gains")


def read_slo_shares(paths: Iterable[Path], slo: SloConfig) -> Shares:
    """The share of requests inside all limits, by run; empty where the study sets no limit.

    paths: requests.parquet of the replicates. ResultsError where one cannot be read.
    """
    shares: Shares = {}
    for path in paths if slo.limits else ():
        try:
            table = pq.read_table(path, columns=["experiment_id", "replicate", "ttft_s", "itl_s"])
        except (OSError, pa.ArrowException) as error:
            raise ResultsError(f"{path} cannot be read ({error}); delete {path.parent} and run again") from error
        inside = requests_inside(table["ttft_s"].to_numpy(), _tpot_s(table["itl_s"]), slo)
        frame = table.select(["experiment_id", "replicate"]).to_pandas().assign(inside=inside)
        means = frame.groupby(["experiment_id", "replicate"])["inside"].mean()
        shares |= {(str(name), int(replicate)): float(share) for (name, replicate), share in means.items()}
    return shares


def requests_inside(ttft_s: Floats, tpot_s: Floats, slo: SloConfig) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which requests are inside. tpot_s: NaN for a request with a single output token, which is inside that limit."""
    inside = np.ones(len(ttft_s), dtype=bool)
    for values, limit in ((ttft_s, slo.ttft_s), (tpot_s, slo.tpot_s)):
        if limit is not None:
            inside &= ~(values > limit)
    return inside


def with_slo(row: Mapping[str, Any], shares: Shares) -> dict[str, Any]:
    """A row of the runs with its SLO metrics; empty where the run is not valid or no limit is set."""
    share = shares.get((row["experiment_id"], row["replicate"])) if row["status"] == "ok" else None
    figures: dict[str, float | None] = {"slo_share": share}
    for part in _ENERGY:
        of_request = row[f"energy_per_request_j{part}"]
        known = share and of_request is not None
        figures[f"energy_per_slo_request_j{part}"] = of_request / share if known else None
    return {**row, **figures}


def why_no_slo(metric: str, limits: Mapping[str, float], share: float | None) -> str:
    """Why an experiment has no figure of its requests inside."""
    if not limits:
        return NOT_SET
    return "no request is inside the slo" if share == 0 else f"the run has no figure that {metric} is computed from"


def limits_from_row(row: Mapping[Any, Any]) -> dict[str, float]:
    """Latency → limit in seconds, from a row of the summary; those that the study sets."""
    limits = {name: float_or_none(row[f"slo_{name}"]) for name in SloConfig.model_fields}
    return {name: limit for name, limit in limits.items() if limit is not None}


def slo_limits(summary: pd.DataFrame) -> dict[str, float]:
    """The same of a whole study, which has one objective."""
    return limits_from_row(summary.iloc[0].to_dict()) if len(summary) else {}


def _tpot_s(gaps_s: pa.ChunkedArray) -> Floats:
    """Mean gap of each request; NaN without a gap."""
    lengths = pc.list_value_length(gaps_s).to_numpy().astype(float)
    owners = np.repeat(np.arange(len(lengths)), lengths.astype(int))
    sums = np.bincount(owners, weights=pc.list_flatten(gaps_s).to_numpy(), minlength=len(lengths))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / lengths, dtype=float)
