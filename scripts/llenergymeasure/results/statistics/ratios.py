"""Every experiment over the study's reference, with intervals that hold for all of them at once."""

from __future__ import annotations

import pandas as pd

from llenergymeasure.results.reading.measured_plan import MeasuredPlan
from llenergymeasure.results.statistics.analysis import analyse_metric, energy_account_of_experiment, measured_reference
from llenergymeasure.results.statistics.comparable import why_not_comparable
from llenergymeasure.results.statistics.comparisons.simultaneous import ratios_to
from llenergymeasure.results.statistics.counted import counted
from llenergymeasure.results.statistics.estimates import Ratio

RATIO_METRICS = ("energy_per_output_token_j", "throughput_output_tokens_per_s", "ttft_s")
_SUFFIXES = ("ratio", "ratio_with_suspects")
RATIO_COLUMNS = tuple(
    f"{metric}_{suffix}{part}"
    for suffix in _SUFFIXES
    for metric in RATIO_METRICS
    for part in ("", "_ci95_low", "_ci95_high")
)


def ratio_columns(plan: MeasuredPlan, runs: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """experiment_id → the columns of the summary; None where the two cannot be compared. The reference's own is 1.

    Those with suspects are known where suspect runs of the study were left out of the others.
    """
    columns: dict[str, dict[str, float | None]] = {name: dict.fromkeys(RATIO_COLUMNS) for name in plan.experiments}
    left_out = bool((counted(runs, with_suspects=True) & ~counted(runs)).any())
    for suffix in _SUFFIXES if left_out else _SUFFIXES[:1]:
        for metric in RATIO_METRICS:
            ratios = reference_ratios(plan, runs, metric, with_suspects=suffix != _SUFFIXES[0])
            for name, ratio in ratios.items():
                columns[name][f"{metric}_{suffix}"] = ratio.value
                columns[name][f"{metric}_{suffix}_ci95_low"] = ratio.low
                columns[name][f"{metric}_{suffix}_ci95_high"] = ratio.high
    return columns


def reference_ratios(
    plan: MeasuredPlan, runs: pd.DataFrame, metric: str, with_suspects: bool = False
) -> dict[str, Ratio]:
    """experiment_id → its figure over the reference's; empty where the reference has none."""
    reference = measured_reference(plan)
    if reference is None:
        return {}
    account = energy_account_of_experiment(runs, reference, with_suspects)
    analysis = analyse_metric(runs, metric, account, plan.nominal_level, with_suspects)
    if reference not in analysis.values:
        return {}
    configs = {name: entry.config for name, entry in plan.experiments.items()}
    others = [
        name
        for name in analysis.values
        if name != reference and why_not_comparable(metric, configs[name], configs[reference]) is None
    ]
    return {reference: Ratio(1.0, 1.0, 1.0), **ratios_to(analysis, reference, others)}
