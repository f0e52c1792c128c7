"""From a window's requests and energy to the figures of one experiment in one replicate.

Output tokens are generated tokens up to and with the first end-of-sequence token; prompt and padding tokens are
never in a denominator, except where a metric's name says prompt token.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llenergymeasure.energy import LedgerEntry
from llenergymeasure.engine.generation.generation import Request
from llenergymeasure.measurement.memory_checks import DriverMemory
from llenergymeasure.measurement.metrics.budget import PowerDoubt
from llenergymeasure.measurement.metrics.energy_metrics import Counts, EnergyFigures, energy_figures
from llenergymeasure.measurement.metrics.prefill_decode import TraceSplit
from llenergymeasure.measurement.metrics.variation import coefficient_of_variation


@dataclass(frozen=True)
class MetricInputs:
    """What the metrics of one experiment are computed from, beside the ledger. Times in seconds, memory in bytes.

    split: the full window's trace by phase; None for the reason `no_split`
    doubt: what the devices' temperature makes of their power; None where it is not known
    """

    requests: Sequence[Request]
    pass_s: Sequence[float]
    window_s: float
    prefill_passes: int
    prompt_tokens_per_pass: int
    requests_per_pass: int
    peak_memory_bytes: int
    driver_memory: DriverMemory
    split: TraceSplit | None
    no_split: str | None
    doubt: PowerDoubt | None = None


@dataclass(frozen=True)
class Figures:
    """Metrics (None where unknown), the reason for each None, and what is known of the energy ones."""

    metrics: dict[str, Any]
    unknown: dict[str, str]
    energy: EnergyFigures


def compute_metrics(inputs: MetricInputs, entries: Sequence[LedgerEntry]) -> Figures:
    requests = inputs.requests
    output_tokens = sum(len(request.row.output_ids) for request in requests)
    intervals = [value for request in requests if (value := request.tpot_s) is not None]
    metrics: dict[str, Any] = {
        "throughput_output_tokens_per_s": output_tokens / inputs.window_s,
        "ttft_s": statistics.fmean(request.ttft_s for request in requests),
        "tpot_s": statistics.fmean(intervals) if intervals else None,
        "e2e_latency_s": statistics.fmean(request.e2e_latency_s for request in requests),
        "peak_memory_bytes": inputs.peak_memory_bytes,
        "process_memory_bytes": inputs.driver_memory.bytes,
        "output_tokens": output_tokens,
        "input_tokens": sum(request.input_tokens for request in requests),
        "padded_tokens": sum(request.padded_tokens for request in requests),
        "requests": len(requests),
        "passes": len(inputs.pass_s),
        "window_s": inputs.window_s,
        "pass_cv": coefficient_of_variation(_token_seconds(inputs)),
    }
    unknown: dict[str, str] = {}
    if inputs.driver_memory.reason is not None:
        unknown["process_memory_bytes"] = inputs.driver_memory.reason
    if not intervals:
        unknown["tpot_s"] = "each request generated a single token, so there is no interval between two"
    if metrics["pass_cv"] is None:
        unknown["pass_cv"] = "the window holds one pass"
    counts = Counts(
        requests=len(requests),
        output_tokens=output_tokens,
        prefill_requests=inputs.prefill_passes * inputs.requests_per_pass,
        prefill_prompt_tokens=inputs.prefill_passes * inputs.prompt_tokens_per_pass,
    )
    energy = energy_figures(entries, counts, inputs.split, inputs.no_split, inputs.doubt)
    return Figures({**metrics, **energy.values}, {**unknown, **energy.unknown}, energy)


def _token_seconds(inputs: MetricInputs) -> list[float]:
    """Seconds per output token of each pass: sampled outputs that end by themselves are not as long in every pass."""
    tokens = [0] * len(inputs.pass_s)
    for request in inputs.requests:
        tokens[request.pass_index] += len(request.row.output_ids)
    return [seconds / number for seconds, number in zip(inputs.pass_s, tokens, strict=True)]
