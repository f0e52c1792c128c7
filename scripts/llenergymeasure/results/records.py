"""Every metric, declared once: name, unit, definition with its denominator, and which way is better.

Columns, table heads and the definitions in the report are derived from this list.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Metric:
    """`higher_is_better` is None where neither way is. `contract` metrics stand in the summary in this order."""

    name: str
    label: str
    unit: str
    definition: str
    higher_is_better: bool | None
    contract: bool = False


_ALL = (
    Metric(
        "throughput_output_tokens_per_s",
        "Throughput",
        "output tokens/s",
        "Output tokens of the window over its length. Output tokens are generated tokens up to and with the first "
        "end-of-sequence token; prompt and padding tokens do not count.",
        True,
        contract=True,
    ),
    Metric(
        "energy_per_output_token_j",
        "Energy per output token",
        "J/output token",
        "Gross energy of the window over its output tokens. It holds the prefill of the prompts too.",
        False,
        contract=True,
    ),
    Metric(
        "energy_per_request_j",
        "Energy per request",
        "J/request",
        "Gross energy of the window over its requests (prompts × passes).",
        False,
        contract=True,
    ),
    Metric(
        "prefill_energy_j",
        "Prefill energy",
        "J/request",
        "Gross energy, over requests, of a window of its own whose passes end after the first token.",
        False,
        contract=True,
    ),
    Metric(
        "decode_energy_j",
        "Decode energy",
        "J/request",
        "Energy per request minus prefill energy.",
        False,
        contract=True,
    ),
    Metric(
        "ttft_s",
        "TTFT",
        "s",
        "Time to first token: from handing a batch to generate() until its first token, mean over requests. "
        "Tokenising lies outside.",
        False,
        contract=True,
    ),
    Metric(
        "itl_s",
        "Inter-token latency",
        "s",
        "(last token − first token) / (output tokens − 1) of a request, mean over requests.",
        False,
        contract=True,
    ),
    Metric(
        "e2e_latency_s",
        "End-to-end latency",
        "s",
        "From handing a batch to generate() until it returns, mean over requests.",
        False,
        contract=True,
    ),
    Metric(
        "peak_memory_bytes",
        "Peak memory",
        "bytes",
        "Highest memory in use while the window was open: allocated on the accelerators that hold parameters, or the "
        "resident set of the process on a CPU.",
        False,
        contract=True,
    ),
    Metric(
        "average_power_w",
        "Average power",
        "W",
        "Gross energy of the window over its length.",
        None,
        contract=True,
    ),
    Metric(
        "net_energy_per_output_token_j",
        "Net energy per output token",
        "J/output token",
        "As energy per output token, less the idle power with the model resident times the window's length.",
        False,
    ),
    Metric(
        "emissions_per_request_kg",
        "Carbon per request",
        "kg CO₂e/request",
        "Energy per request times the carbon intensity of the stated country's electricity.",
        False,
    ),
    Metric("window_s", "Window", "s", "Length of the measured window.", None),
    Metric("passes", "Passes", "passes", "How often the prompt set was generated in the window.", None),
    Metric("requests", "Requests", "requests", "Prompts × passes of the window.", None),
    Metric("output_tokens", "Output tokens", "tokens", "Output tokens of the window.", None),
    Metric("input_tokens", "Input tokens", "tokens", "Prompt tokens of the window, without padding.", None),
    Metric("padded_tokens", "Padding", "tokens", "Padding left of prompts and behind the end of outputs.", None),
    Metric(
        "pass_cv",
        "Spread of passes",
        "ratio",
        "Coefficient of variation (sample standard deviation over mean) of the window's passes.",
        None,
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
CONTRACT_METRICS = tuple(metric.name for metric in _ALL if metric.contract)
ENERGY_METRICS = (
    "energy_per_output_token_j",
    "energy_per_request_j",
    "prefill_energy_j",
    "decode_energy_j",
    "average_power_w",
    "net_energy_per_output_token_j",
    "emissions_per_request_kg",
)
# Behind the contract's columns, with interval.
FURTHER_METRICS = ("net_energy_per_output_token_j",)
HEAD_COLUMNS = (
    "experiment_id",
    "load_id",
    "status",
    "failure_reason",
    "replicates",
    "model",
    "revision",
    "precision",
)
TAIL_COLUMNS = ("energy_source", "evidence_ok", "output_digest")
PARTS = ("mean", "ci95_low", "ci95_high")
