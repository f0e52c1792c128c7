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
from llenergymeasure.results.statistics.counted import counted
from llenergymeasure.results.statistics.estimates import Estimate, estimate
from llenergymeasure.results.statistics.length_model import LACK_OF_FIT, Point, fit, identifiable

# Settings that change how long prompts and outputs are, but not how a token is made. `n_prompts` is not one: it changes
# how full the batches are.
LENGTHS = ("max_input_tokens", "max_output_tokens", "dataset")
# If the model misses a point by more than this, the energy does not depend on lengths that way.
LARGEST_MISS = 0.1
OUTPUT_TOKEN = "output_token"
COSTS = ("prompt_token", OUTPUT_TOKEN, "step", "context_token", "prompt_pair", "request")
_COLUMNS = ["experiment_id", "replicate", "energy_source", "boundary", "requests", "input_tokens", "output_tokens"]
_COLUMNS += ["energy_per_request_j", "prefill_energy_j"]
_UNKNOWN = estimate([])


@dataclass(frozen=True)
class Measured:
    """The lengths that were measured, in tokens per request; outside them the costs are an extrapolation.

    context: mean number of tokens that a decode step of the full windows attends to
    """

    prompt_low: float
    prompt_high: float
    output_low: float
    output_high: float
    context: float


@dataclass(frozen=True)
class TokenCosts:
    """What requests cost, over replicates, in joules.

    experiments: those that differ only in lengths, in the plan's order
    terms: of the model, as `length_model` names them; empty without an estimate
    costs: cost → J: one per term, and `output_token`: one more output token at the mean context
    measured: None without an estimate
    largest_miss: the largest relative distance between a window's energy and the fitted one
    lack_of_fit: see `length_model.Fit`
    reason: why there is no estimate, or None
    """

    setup_id: str
    experiments: tuple[str, ...]
    source: str | None
    terms: tuple[str, ...]
    costs: Mapping[str, Estimate]
    measured: Measured | None
    largest_miss: float | None
    lack_of_fit: float | None
    reason: str | None

    def cost(self, name: str) -> Estimate:
        """One of `COSTS`; without a mean where the model has no such term."""
        return self.costs.get(name, _UNKNOWN)

    @property
    def holds(self) -> bool | None:
        """Whether the model describes the windows; None without an estimate."""
        if self.largest_miss is None:
            return None
        return self.largest_miss <= LARGEST_MISS and (self.lack_of_fit is None or self.lack_of_fit >= LACK_OF_FIT)


def token_costs(plan: MeasuredPlan, runs: pd.DataFrame) -> list[TokenCosts]:
    """One entry per set of experiments of the plan that differ only in lengths. Single experiments have none.

    In each replicate, the energy per request of every full window and of every prefill-only window (one output token)
    is fitted to the largest model that the lengths allow. A replicate is a fresh process, so the interval is Student's
    t over the replicates' coefficients, not over the windows of one process.
    """
    costs = []
    groups = _alike(plan)
    members = {name for names in groups for name in names}
    by_experiment: dict[str, list[Mapping[Hashable, Any]]] = {}
    for run in runs[runs["experiment_id"].isin(members) & counted(runs)][_COLUMNS].to_dict("records"):
        by_experiment.setdefault(str(run["experiment_id"]), []).append(run)
    for names in groups:
        chosen = [run for name in names for run in by_experiment.get(name, [])]
        costs.append(_costs(plan, names, chosen))
    return costs


def write_token_costs(costs: Sequence[TokenCosts], path: Path) -> None:
    """One row per set of experiments, in joules. Empty where unknown, with the reason. No rows where nothing varies."""
    columns = ["setup_id", "experiments", "energy_source", "terms"]
    columns += [f"energy_per_{what}_j_{part}" for what in COSTS for part in ("mean", "ci95_low", "ci95_high")]
    columns += ["replicates", "largest_miss", "lack_of_fit_p", "holds"]
    columns += ["prompt_tokens_low", "prompt_tokens_high", "output_tokens_low", "output_tokens_high", "context_tokens"]
    columns += ["reason"]
    pd.DataFrame([_row(cost) for cost in costs], columns=columns).to_csv(path, index=False)


def _row(cost: TokenCosts) -> dict[str, Any]:
    row: dict[str, Any] = {
        "setup_id": cost.setup_id,
        "experiments": " ".join(cost.experiments),
        "energy_source": cost.source,
        "terms": " ".join(cost.terms) or None,
        "replicates": cost.cost("request").n,
        "largest_miss": cost.largest_miss,
        "lack_of_fit_p": cost.lack_of_fit,
        "holds": cost.holds,
        "reason": cost.reason,
    }
    for what in COSTS:
        figure = cost.cost(what)
        row |= {
            f"energy_per_{what}_j_{part}": value
            for part, value in (("mean", figure.mean), ("ci95_low", figure.low), ("ci95_high", figure.high))
        }
    if cost.measured is not None:
        row |= {
            "prompt_tokens_low": cost.measured.prompt_low,
            "prompt_tokens_high": cost.measured.prompt_high,
            "output_tokens_low": cost.measured.output_low,
            "output_tokens_high": cost.measured.output_high,
            "context_tokens": cost.measured.context,
        }
    return row


def _alike(plan: MeasuredPlan) -> list[tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for name, entry in plan.experiments.items():
        rest = {key: value for key, value in entry.config.items() if key not in LENGTHS}
        groups.setdefault(json.dumps(rest, sort_keys=True), []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 1]


def _costs(plan: MeasuredPlan, names: tuple[str, ...], runs: Sequence[Mapping[Hashable, Any]]) -> TokenCosts:
    setup_id = str(plan.experiments[names[0]].setup_id)
    accounts = {(run["energy_source"], run["boundary"]) for run in runs}
    source = accounts.pop()[0] if len(accounts) == 1 else None

    def none(reason: str) -> TokenCosts:
        return TokenCosts(setup_id, names, source, (), {}, None, None, None, reason)

    if source is None:
        return none("energy is of several sources or boundaries" if accounts else "no energy was measured")
    replicates = _replicates(runs)
    terms = identifiable(replicates, _exact_terms([plan.experiments[name].config for name in names]))
    if terms is None:
        return none("lengths of prompts and of outputs do not both vary, so their costs cannot be separated")
    fitted = fit(replicates, terms)
    measured = _measured(replicates)
    by_term = dict(zip(terms, fitted.coefficients.T, strict=True))
    # One more token at the mean context; without the term for it, every step costs the same.
    by_term[OUTPUT_TOKEN] = by_term["step"] + measured.context * by_term.get("context_token", np.zeros(1))
    costs = {name: estimate(map(float, values), plan.nominal_level) for name, values in by_term.items()}
    return TokenCosts(
        setup_id, names, source, terms, costs, measured, fitted.largest_miss, fitted.lack_of_fit, reason=None
    )


def _exact_terms(configs: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The curved terms that the means of a window give exactly.

    The context is linear in the prompt's length where all outputs are as long; pairs of prompt tokens are not, so they
    need prompts of one length.
    """
    equal_outputs = all(config.get("fixed_output", True) for config in configs)
    equal_prompts = all(config.get("dataset", {}).get("source") == "synthetic" for config in configs)
    return (*(("context_token",) if equal_outputs else ()), *(("prompt_pair",) if equal_prompts else ()))


def _replicates(runs: Sequence[Mapping[Hashable, Any]]) -> list[list[Point]]:
    """The points of each replicate, in one order."""
    numbers = sorted({run["replicate"] for run in runs})
    return [[point for run in runs if run["replicate"] == number for point in _points(run)] for number in numbers]


def _points(run: Mapping[Hashable, Any]) -> Iterable[Point]:
    """Of the full window, and of the prefill-only one."""
    name = str(run["experiment_id"])
    prompt_tokens = run["input_tokens"] / run["requests"]
    if not pd.isna(run["energy_per_request_j"]):
        output_tokens = run["output_tokens"] / run["requests"]
        yield Point((name, "generate"), prompt_tokens, output_tokens, run["energy_per_request_j"])
    if not pd.isna(run["prefill_energy_j"]):
        yield Point((name, "prefill"), prompt_tokens, 1.0, run["prefill_energy_j"])


def _measured(replicates: Sequence[Sequence[Point]]) -> Measured:
    points = [point for replicate in replicates for point in replicate]
    prompts, outputs = [point.prompt_tokens for point in points], [point.output_tokens for point in points]
    context = sum(point.context for point in points) / sum(point.steps for point in points)
    return Measured(min(prompts), max(prompts), min(outputs), max(outputs), context)
