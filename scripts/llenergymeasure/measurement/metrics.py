"""From a window's requests and energy to the figures of one experiment in one replicate.

Output tokens are generated tokens up to and with the first end-of-sequence token; prompt and padding tokens are
never in a denominator.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llenergymeasure.energy import LedgerEntry, primary_energy
from llenergymeasure.engine.generation import Request
from llenergymeasure.measurement.calibration import coefficient_of_variation

ENERGY_METRICS = (
    "energy_per_output_token_j",
    "net_energy_per_output_token_j",
    "energy_per_request_j",
    "prefill_energy_j",
    "decode_energy_j",
    "average_power_w",
)


@dataclass(frozen=True)
class Measured:
    """What one experiment left behind. Times in seconds, memory in bytes."""

    requests: Sequence[Request]
    pass_s: Sequence[float]
    window_s: float
    prefill_window_s: float
    prefill_requests: int
    peak_memory_bytes: int


def compute_metrics(
    measured: Measured, entries: Sequence[LedgerEntry]
) -> tuple[dict[str, Any], dict[str, str], str | None]:
    """Metrics (None where unknown), the reason for each None, and the source of the energy."""
    requests = measured.requests
    output_tokens = sum(len(request.row.output_ids) for request in requests)
    intervals = [value for request in requests if (value := request.mean_itl_s) is not None]
    metrics: dict[str, Any] = {
        "throughput_output_tokens_per_s": output_tokens / measured.window_s,
        "ttft_s": statistics.fmean(request.ttft_s for request in requests),
        "itl_s": statistics.fmean(intervals) if intervals else None,
        "e2e_latency_s": statistics.fmean(request.e2e_latency_s for request in requests),
        "peak_memory_bytes": measured.peak_memory_bytes,
        "output_tokens": output_tokens,
        "input_tokens": sum(request.input_tokens for request in requests),
        "padded_tokens": sum(request.padded_tokens for request in requests),
        "requests": len(requests),
        "passes": len(measured.pass_s),
        "window_s": measured.window_s,
        "pass_cv": coefficient_of_variation(measured.pass_s),
    }
    unknown: dict[str, str] = {}
    if not intervals:
        unknown["itl_s"] = "each request generated a single token, so there is no interval between two"
    if metrics["pass_cv"] is None:
        unknown["pass_cv"] = "the window holds one pass"
    source = _add_energy(metrics, unknown, measured, entries, output_tokens)
    return metrics, unknown, source


def _add_energy(
    metrics: dict[str, Any],
    unknown: dict[str, str],
    measured: Measured,
    entries: Sequence[LedgerEntry],
    output_tokens: int,
) -> str | None:
    metrics.update(dict.fromkeys(ENERGY_METRICS))
    full = primary_energy(entries, "generate")
    energy_j, source = full.energy_j, full.source
    if energy_j is None:
        missing = full.reason or "no meter gave a figure"
        unknown.update({name: missing for name in ENERGY_METRICS if metrics[name] is None and name not in unknown})
        return None
    per_request = energy_j / len(measured.requests)
    metrics["energy_per_output_token_j"] = energy_j / output_tokens
    metrics["energy_per_request_j"] = per_request
    metrics["average_power_w"] = energy_j / measured.window_s
    prefill = primary_energy(entries, "prefill")
    if prefill.energy_j is None or prefill.source != source:
        because = prefill.reason or f"prefill energy comes from {prefill.source}, generation from {source}"
        unknown["prefill_energy_j"] = unknown["decode_energy_j"] = because
    else:
        metrics["prefill_energy_j"] = prefill.energy_j / measured.prefill_requests
        metrics["decode_energy_j"] = per_request - metrics["prefill_energy_j"]
    idle = primary_energy(entries, "idle_resident")
    if idle.energy_j is None or idle.source != source:
        because = idle.reason or f"idle power comes from {idle.source}, energy from {source}"
        unknown["net_energy_per_output_token_j"] = because
    else:
        net_j = energy_j - idle.energy_j / idle.duration_s * measured.window_s
        metrics["net_energy_per_output_token_j"] = net_j / output_tokens
    return source
