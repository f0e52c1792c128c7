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
from llenergymeasure.measurement.calibration import coefficient_of_variation
from llenergymeasure.measurement.memory_checks import DriverMemory
from llenergymeasure.measurement.metrics.energy_metrics import Counts, EnergyFigures, energy_figures
from llenergymeasure.measurement.metrics.prefill_decode import TraceSplit


@dataclass(frozen=True)
class Measured:
    """What one experiment left behind. Times in seconds, memory in bytes.

    split: the full window's trace by phase; None for the reason `no_split`
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


@dataclass(frozen=True)
class Figures:
    """Metrics (None where unknown), the reason for each None, and what is known of the energy ones."""

    metrics: dict[str, Any]
    unknown: dict[str, str]
    energy: EnergyFigures


def compute_metrics(measured: Measured, entries: Sequence[LedgerEntry]) -> Figures:
    requests = measured.requests
    output_tokens = sum(len(request.row.output_ids) for request in requests)
    intervals = [value for request in requests if (value := request.tpot_s) is not None]
    metrics: dict[str, Any] = {
        "throughput_output_tokens_per_s": output_tokens / measured.window_s,
        "ttft_s": statistics.fmean(request.ttft_s for request in requests),
        "tpot_s": statistics.fmean(intervals) if intervals else None,
        "e2e_latency_s": statistics.fmean(request.e2e_latency_s for request in requests),
        "peak_memory_bytes": measured.peak_memory_bytes,
        "process_memory_bytes": measured.driver_memory.bytes,
        "output_tokens": output_tokens,
        "input_tokens": sum(request.input_tokens for request in requests),
        "padded_tokens": sum(request.padded_tokens for request in requests),
        "requests": len(requests),
        "passes": len(measured.pass_s),
        "window_s": measured.window_s,
        "pass_cv": coefficient_of_variation(measured.pass_s),
    }
    unknown: dict[str, str] = {}
    if measured.driver_memory.reason is not None:
        unknown["process_memory_bytes"] = measured.driver_memory.reason
    if not intervals:
        unknown["tpot_s"] = "each request generated a single token, so there is no interval between two"
    if metrics["pass_cv"] is None:
        unknown["pass_cv"] = "the window holds one pass"
    counts = Counts(
        requests=len(requests),
        output_tokens=output_tokens,
        prefill_requests=measured.prefill_passes * measured.requests_per_pass,
        prefill_prompt_tokens=measured.prefill_passes * measured.prompt_tokens_per_pass,
    )
    energy = energy_figures(entries, counts, measured.split, measured.no_split)
    return Figures({**metrics, **energy.values}, {**unknown, **energy.unknown}, energy)
