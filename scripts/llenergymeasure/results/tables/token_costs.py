"""What a prompt token and an output token cost: a regression over experiments that differ in lengths alone."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.statistics.estimates import Estimate, estimate

# Settings that change how long prompts and outputs are, but not how a token is made.
LENGTHS = ("max_input_tokens", "max_output_tokens", "n_prompts", "dataset")
# If a straight line misses a point by more than this, the energy does not depend on lengths that way.
LARGEST_MISS = 0.1
_COLUMNS = ["experiment_id", "replicate", "energy_source", "boundary", "requests", "input_tokens", "output_tokens"]
_COLUMNS += ["energy_per_request_j", "prefill_energy_j"]
_COEFFICIENTS = ("prompt_token", "output_token", "request")


@dataclass(frozen=True)
class TokenCosts:
    """J per prompt token, per output token and per request whatever its length, over replicates.

    experiments: those that differ only in lengths, in the plan's order
    largest_miss: the largest relative distance between a window's energy and the fitted one
    reason: why there is no estimate, or None
    """

    setup_id: str
    experiments: tuple[str, ...]
    source: str | None
    prompt_token_j: Estimate
    output_token_j: Estimate
    request_j: Estimate
    largest_miss: float | None
    reason: str | None

    @property
    def linear(self) -> bool:
        return self.largest_miss is not None and self.largest_miss <= LARGEST_MISS


def token_costs(plan: MeasuredPlan, runs: pd.DataFrame) -> list[TokenCosts]:
    """One entry per set of experiments of the plan that differ only in lengths. Single experiments have none.

    In each replicate, the energy per request of every full window and of every prefill-only window (one output token)
    is fitted by least squares of relative errors to E = a + b·prompt tokens + c·output tokens. A replicate is a fresh
    process, so the interval is Student's t over the replicates' coefficients, not over the windows of one process.
    """
    costs = []
    groups = _alike(plan)
    members = {name for names in groups for name in names}
    by_experiment: dict[str, list[Mapping[Hashable, Any]]] = {}
    for run in runs[runs["experiment_id"].isin(members) & (runs["status"] == "ok")][_COLUMNS].to_dict("records"):
        by_experiment.setdefault(str(run["experiment_id"]), []).append(run)
    for names in groups:
        chosen = [run for name in names for run in by_experiment.get(name, [])]
        costs.append(_fit(str(plan.experiments[names[0]].setup_id), names, chosen, plan.nominal_level))
    return costs


def write_token_costs(costs: Sequence[TokenCosts], path: Path) -> None:
    """One row per set of experiments, in joules. Empty where unknown, with the reason. No rows where nothing varies."""
    columns = ["setup_id", "experiments", "energy_source"]
    columns += [f"energy_per_{what}_j_{part}" for what in _COEFFICIENTS for part in ("mean", "ci95_low", "ci95_high")]
    columns += ["replicates", "largest_miss", "linear", "reason"]
    rows = [
        {
            "setup_id": cost.setup_id,
            "experiments": " ".join(cost.experiments),
            "energy_source": cost.source,
            **{
                f"energy_per_{what}_j_{part}": value
                for what, coefficient in zip(
                    _COEFFICIENTS, (cost.prompt_token_j, cost.output_token_j, cost.request_j), strict=True
                )
                for part, value in (
                    ("mean", coefficient.mean),
                    ("ci95_low", coefficient.low),
                    ("ci95_high", coefficient.high),
                )
            },
            "replicates": cost.output_token_j.n,
            "largest_miss": cost.largest_miss,
            "linear": None if cost.reason else cost.linear,
            "reason": cost.reason,
        }
        for cost in costs
    ]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)


def _alike(plan: MeasuredPlan) -> list[tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for name, entry in plan.experiments.items():
        rest = {key: value for key, value in entry.config.items() if key not in LENGTHS}
        groups.setdefault(json.dumps(rest, sort_keys=True), []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 1]


def _fit(setup_id: str, names: tuple[str, ...], runs: Sequence[Mapping[Hashable, Any]], level: float) -> TokenCosts:
    accounts = {(run["energy_source"], run["boundary"]) for run in runs}
    source = accounts.pop()[0] if len(accounts) == 1 else None

    def none(reason: str) -> TokenCosts:
        unknown = estimate([])
        return TokenCosts(setup_id, names, source, unknown, unknown, unknown, None, reason)

    if source is None:
        return none("energy is of several sources or boundaries" if accounts else "no energy was measured")
    fits = []
    misses = []
    for replicate in sorted({run["replicate"] for run in runs}):
        rows = np.array([row for run in runs if run["replicate"] == replicate for row in _rows(run)])
        if len(rows) < 3 or np.linalg.matrix_rank(_design(rows)) < 3:
            return none("lengths of prompts and of outputs do not both vary, so their costs cannot be separated")
        # Errors of a meter are shares of the energy, so each window counts by its relative distance.
        coefficients, *_ = np.linalg.lstsq(_design(rows) / rows[:, 2:], np.ones(len(rows)), rcond=None)
        fits.append(coefficients)
        misses.append(float(np.max(np.abs(_design(rows) @ coefficients / rows[:, 2] - 1))))
    request, prompt, output = (estimate((float(fit[place]) for fit in fits), level) for place in range(3))
    return TokenCosts(setup_id, names, source, prompt, output, request, max(misses), None)


def _rows(run: Mapping[Hashable, Any]) -> Iterable[tuple[float, float, float]]:
    """(prompt tokens, output tokens, joules) per request: of the full window, and of the prefill-only one."""
    prompt_tokens = run["input_tokens"] / run["requests"]
    if not pd.isna(run["energy_per_request_j"]):
        yield prompt_tokens, run["output_tokens"] / run["requests"], run["energy_per_request_j"]
    if not pd.isna(run["prefill_energy_j"]):
        yield prompt_tokens, 1.0, run["prefill_energy_j"]


def _design(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.column_stack([np.ones(len(rows)), rows[:, 0], rows[:, 1]])
