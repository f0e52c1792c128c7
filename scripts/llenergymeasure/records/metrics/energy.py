"""The metrics that are computed from joules."""

from __future__ import annotations

from llenergymeasure.records.ledger import DOMAINS
from llenergymeasure.records.metrics.metric import Metric


def _joules(name: str, label: str, unit: str, definition: str, formula: str = "") -> Metric:
    """A figure in joules per something: less is better, and its source and boundary matter."""
    return Metric(name, label, f"J/{unit}", definition, False, symbol="J", energy=True, formula=formula)


GROSS = (
    _joules(
        "energy_per_output_token_j",
        "Energy per output token",
        "output token",
        "Gross energy of the window over its output tokens. It includes the prefill of the prompts, so it falls as "
        "outputs grow: compare it between equal lengths.",
        "gross_j / sum(output_tokens)",
    ),
    _joules(
        "energy_per_request_j",
        "Energy per request",
        "request",
        "Gross energy of the window over its requests (prompts × passes).",
        "gross_j / requests",
    ),
)
PHASES = (
    _joules(
        "prefill_energy_j",
        "Prefill energy",
        "request",
        "Gross energy of a separate window, whose passes end after the first token, over its requests.",
        "prefill_j / (prefill_passes * prompts)",
    ),
    _joules(
        "decode_energy_j",
        "Decode energy",
        "request",
        "Energy per request minus prefill energy.",
        "gross_j / requests - prefill_j / (prefill_passes * prompts)",
    ),
    _joules(
        "decode_energy_per_token_j",
        "Decode energy per token",
        "decoded token",
        "Decode energy over the tokens that decoding gave: output tokens − 1 of each request, because the first one "
        "comes with the prefill.",
        "decode_energy_j * requests / (sum(output_tokens) - requests)",
    ),
    _joules(
        "energy_per_prompt_token_j",
        "Energy per prompt token",
        "prompt token",
        "Gross energy of the prefill-only window over its prompt tokens; padding does not count.",
        "prefill_j / (prefill_passes * prompt_tokens)",
    ),
    _joules(
        "prefill_energy_trace_j",
        "Prefill energy by trace",
        "request",
        "Prefill energy of the full window itself, over its requests: a regression of the meter's trace on the seconds "
        "before and after each first token.",
    ),
    _joules(
        "decode_energy_trace_j",
        "Decode energy by trace",
        "request",
        "Energy per request minus prefill energy by trace.",
        "gross_j / requests - prefill_energy_trace_j",
    ),
)
POWER = (
    Metric(
        "average_power_w",
        "Average power",
        "W",
        "Gross energy of the window over its length.",
        None,
        symbol="W",
        energy=True,
        formula="gross_j / window_s",
    ),
    Metric(
        "baseline_power_w",
        "Baseline power",
        "W",
        "Power of the idle devices with context and weights resident, interpolated from the idle windows before and "
        "after the measured one to its middle.",
        None,
        symbol="W",
        energy=True,
        formula="baseline_w",
    ),
    Metric(
        "baseline_share",
        "Baseline share",
        "ratio",
        "Baseline power times the window's length over the gross energy of the window.",
        None,
        formula="baseline_w * window_s / gross_j",
    ),
)
_FIXED = "Unknown where the source gives the same power at work and idle: a fixed estimate."
NET = (
    _joules(
        "net_energy_per_output_token_j",
        "Net energy per output token",
        "output token",
        "Like energy per output token, minus the idle power with the model resident times the window's length. "
        f"{_FIXED}",
        "(gross_j - baseline_w * window_s) / sum(output_tokens)",
    ),
    _joules(
        "net_energy_per_request_j",
        "Net energy per request",
        "request",
        f"Like energy per request, minus the idle power with the model resident times the window's length. {_FIXED}",
        "(gross_j - baseline_w * window_s) / requests",
    ),
)
BY_DOMAIN = tuple(
    _joules(
        f"{whole}_{domain}_j",
        f"{label}, {domain.upper()}",
        unit,
        f"The part of it that {devices} took. Known wherever they were metered by the same kind of source as the run's "
        "figure, also where `energy.boundary` excludes them.",
        f"gross_{domain}_j / {count}",
    )
    for whole, label, unit, count in (
        ("energy_per_output_token", "Energy per output token", "output token", "sum(output_tokens)"),
        ("energy_per_request", "Energy per request", "request", "requests"),
    )
    for domain, devices in DOMAINS.items()
)
WITH_TIME = (
    Metric(
        "energy_delay_product_j_s",
        "Energy-delay product",
        "J·s/request",
        "Energy per request × mean end-to-end latency from submission (Gonzalez and Horowitz, 1996, IEEE Journal of "
        "Solid-State Circuits 31, 1277). The latency includes queueing, so it grows with the number of prompts: "
        "compare it between equal prompt sets.",
        False,
        energy=True,
        formula="gross_j / requests * mean(e2e_latency_s)",
    ),
    Metric(
        "energy_per_slo_request_j",
        "Energy per request inside the SLO",
        "J/request inside",
        "Gross energy of the window, all requests, over the requests inside the limits of the study's `slo`. Unknown "
        "where no request is inside.",
        False,
        symbol="J",
        energy=True,
        afterwards=True,
        formula="gross_j / slo_requests",
    ),
)
