"""Which figures of two experiments may be compared: ratios, rankings and verdicts ask here first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from llenergymeasure.records.metrics import METRICS

# Between the source and the boundary of an account.
OVER = " over "


def why_not_comparable(metric: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Why a metric of two experiments has no ratio and no rank between them; None where it has.

    one, other: their whole configurations, as in the plan
    """
    if not METRICS[metric].service:
        return None
    ways = [config["pytorch"]["batching"] or "static" for config in (one, other)]
    if ways[0] == ways[1]:
        return None
    from_submission = metric.removeprefix("service_")
    return (
        f"{metric} starts its clock differently in {ways[0]} and {ways[1]} batching; "
        f"compare {from_submission}, whose clock starts at submission"
    )


def energy_account(runs: pd.DataFrame) -> pd.Series[Any]:
    """What the joules of each run are of: source and boundary in one text, empty where there is no figure.

    Figures of different accounts are never compared or averaged.
    """
    return runs["energy_source"] + OVER + runs["boundary"]


def account_from_parts(source: str | None, boundary: str | None) -> str | None:
    """The same of one figure; None where either is not known."""
    return None if source is None or boundary is None else f"{source}{OVER}{boundary}"


def source_from_account(account: str | None) -> str | None:
    return None if account is None else account.partition(OVER)[0]
