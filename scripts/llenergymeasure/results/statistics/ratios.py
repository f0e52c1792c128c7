"""Every experiment over the study's reference, with intervals that hold for all of them at once."""

from __future__ import annotations

import pandas as pd

from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.statistics.analysis import analyse_metric, energy_account_of_experiment, measured_reference
from llenergymeasure.results.statistics.comparable import why_not_comparable
from llenergymeasure.results.statistics.estimates import Ratio
from llenergymeasure.results.statistics.simultaneous import ratios_to

RATIO_METRICS = ("energy_per_output_token_j", "throughput_output_tokens_per_s", "ttft_s")
RATIO_COLUMNS = tuple(f"{metric}_ratio{part}" for metric in RATIO_METRICS for part in ("", "_ci95_low", "_ci95_high"))


def ratio_columns(plan: MeasuredPlan, runs: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """experiment_id → the columns of the summary; None where the two cannot be compared. The reference's own is 1."""
    columns: dict[str, dict[str, float | None]] = {name: dict.fromkeys(RATIO_COLUMNS) for name in plan.experiments}
    for metric in RATIO_METRICS:
        for name, ratio in reference_ratios(plan, runs, metric).items():
            columns[name][f"{metric}_ratio"] = ratio.value
            columns[name][f"{metric}_ratio_ci95_low"] = ratio.low
            columns[name][f"{metric}_ratio_ci95_high"] = ratio.high
    return columns


def reference_ratios(plan: MeasuredPlan, runs: pd.DataFrame, metric: str) -> dict[str, Ratio]:
    """experiment_id → its figure over the reference's; empty where the reference has none."""
    reference = measured_reference(plan)
    if reference is None:
        return {}
    analysis = analyse_metric(runs, metric, energy_account_of_experiment(runs, reference), plan.nominal_level)
    if reference not in analysis.values:
        return {}
    configs = {name: entry.config for name, entry in plan.experiments.items()}
    others = [
        name
        for name in analysis.values
        if name != reference and why_not_comparable(metric, configs[name], configs[reference]) is None
    ]
    return {reference: Ratio(1.0, 1.0, 1.0), **ratios_to(analysis, reference, others)}
