"""The interim analysis after a replicate: is the figure known well enough, or is another replicate measured?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llenergymeasure.results.statistics.estimates import Estimate, estimate
from llenergymeasure.results.statistics.sequential import nominal_level

PRECISE = "precise"
MOST = "max_replicates"
BUDGET = "budget"
NOTHING = "nothing"

_WHY = {
    PRECISE: "precise enough",
    MOST: "no more replicates are allowed (measurement.max_replicates)",
    BUDGET: "another replicate would have been above measurement.budget_s",
    NOTHING: "no experiment has this figure",
    None: "another replicate is measured",
}


def interim_analysis(
    plan: Mapping[str, Any],
    replicates: int,
    records: Sequence[Mapping[str, Any]],
    calibrations: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What interim/<replicates>.json says; `reason` is why the study ends here, None where it goes on.

    records: of all replicates so far; calibrations: of every session, for what a replicate takes
    """
    stopping = plan["stopping"]
    metric, target = stopping["metric"], stopping["target_relative_ci"]
    level = nominal_level(plan["replicates"], stopping["max_replicates"])
    found = {
        name: _relative(estimate(_values(records, name, metric), level)) | {"experiment_id": name}
        for name in plan["experiments"]
    }
    known = [item for item in found.values() if item["n"] > 0]
    replicate_s = sum(map(_replicate_s, calibrations))
    widths = [item["relative_half_width"] for item in known]
    if not known:
        reason = NOTHING
    elif all(width is not None and width <= target for width in widths):
        reason = PRECISE
    elif replicates >= stopping["max_replicates"]:
        reason = MOST
    elif stopping["budget_s"] is not None and (replicates + 1) * replicate_s > stopping["budget_s"]:
        reason = BUDGET
    else:
        reason = None
    return {
        "replicates": replicates,
        "metric": metric,
        "target_relative_ci": target,
        "nominal_level": level,
        "widest": max(widths) if widths and None not in widths else None,
        "experiments": list(found.values()),
        "replicate_s": replicate_s,
        "done": reason is not None,
        "reason": reason,
    }


def in_words(found: Mapping[str, Any]) -> str:
    """How precisely the figure is known, and why the study goes on or ends."""
    width = "unknown" if found["widest"] is None else f"± {100 * found['widest']:.3g} %"
    return (
        f"the widest 95 % interval of {found['metric']} is {width}, wanted "
        f"± {100 * found['target_relative_ci']:.3g} %: {_WHY[found['reason']]}"
    )


def _values(records: Sequence[Mapping[str, Any]], experiment_id: str, metric: str) -> list[float | None]:
    return [
        record["metrics"].get(metric)
        for record in records
        if record["experiment_id"] == experiment_id and record["status"] == "ok"
    ]


def _relative(found: Estimate) -> dict[str, Any]:
    half = found.half_width
    relative = None if half is None or not found.mean else half / abs(found.mean)
    return {"n": found.n, "mean": found.mean, "relative_half_width": relative}


def _replicate_s(calibration: Mapping[str, Any]) -> float:
    """Seconds that one replicate of a session takes, as calibrated."""
    work_s = sum(item.get("expected_s", 0.0) for item in calibration["experiments"].values())
    return float(calibration["startup_s"] + work_s)
