"""Every metric, declared once: name, unit, definition with its denominator, what is better.

Columns, table heads and the definitions in the report are derived from this list.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One figure of an experiment in one replicate.

    unit: what the figure is in, here and in every file
    symbol: the part of `unit` that a page may show with an SI prefix (ms, mJ, MB); None where it is a plain count
    higher_is_better: None where neither way is
    energy: computed from joules, so that figures of different sources must not be compared
    contract: stands in the summary, in this order
    formula: an expression over the quantities of `QUANTITIES` and other metrics; empty where the figure is read off
    """

    name: str
    label: str
    unit: str
    definition: str
    higher_is_better: bool | None
    symbol: str | None = None
    energy: bool = False
    contract: bool = False
    formula: str = ""


_ALL = (
    Metric(
        "throughput_output_tokens_per_s",
        "Throughput",
        "output tokens/s",
        "Output tokens of the window over its length. Output tokens are generated tokens up to and including the "
        "first end-of-sequence token; prompt and padding tokens do not count.",
        True,
        contract=True,
        formula="sum(output_tokens) / window_s",
    ),
    Metric(
        "energy_per_output_token_j",
        "Energy per output token",
        "J/output token",
        "Gross energy of the window over its output tokens. It includes the prefill of the prompts.",
        False,
        symbol="J",
        energy=True,
        contract=True,
        formula="gross_j / sum(output_tokens)",
    ),
    Metric(
        "energy_per_request_j",
        "Energy per request",
        "J/request",
        "Gross energy of the window over its requests (prompts × passes).",
        False,
        symbol="J",
        energy=True,
        contract=True,
        formula="gross_j / requests",
    ),
    Metric(
        "prefill_energy_j",
        "Prefill energy",
        "J/request",
        "Gross energy of a separate window, whose passes end after the first token, over its requests.",
        False,
        symbol="J",
        energy=True,
        contract=True,
        formula="prefill_j / (prefill_passes * prompts)",
    ),
    Metric(
        "decode_energy_j",
        "Decode energy",
        "J/request",
        "Energy per request minus prefill energy.",
        False,
        symbol="J",
        energy=True,
        contract=True,
        formula="gross_j / requests - prefill_j / (prefill_passes * prompts)",
    ),
    Metric(
        "ttft_s",
        "TTFT",
        "s",
        "Time to first token: from handing a batch to generate() until its first token, mean over requests. "
        "It does not include tokenising.",
        False,
        symbol="s",
        contract=True,
        formula="mean(ttft_s)",
    ),
    Metric(
        "tpot_s",
        "TPOT",
        "s",
        "Time per output token: (last token − first token) / (output tokens − 1) of a request, mean over requests.",
        False,
        symbol="s",
        contract=True,
        formula="mean(request_tpot_s)",
    ),
    Metric(
        "e2e_latency_s",
        "End-to-end latency",
        "s",
        "From handing a batch to generate() until it returns, mean over requests.",
        False,
        symbol="s",
        contract=True,
        formula="mean(e2e_latency_s)",
    ),
    Metric(
        "peak_memory_bytes",
        "Peak memory",
        "bytes",
        "Highest memory in use while the window was open: allocated on the accelerators that hold parameters, or the "
        "resident set of the process on a CPU.",
        False,
        symbol="bytes",
        contract=True,
    ),
    Metric(
        "process_memory_bytes",
        "Process memory",
        "bytes",
        "Memory of the GPUs that the experiment's processes hold when the window ends, as the driver counts it: it "
        "includes contexts, workspaces and recorded graphs, which peak memory does not. Unknown without a GPU, and "
        "where a container hides process ids.",
        False,
        symbol="bytes",
    ),
    Metric(
        "average_power_w",
        "Average power",
        "W",
        "Gross energy of the window over its length.",
        None,
        symbol="W",
        energy=True,
        contract=True,
        formula="gross_j / window_s",
    ),
    Metric(
        "net_energy_per_output_token_j",
        "Net energy per output token",
        "J/output token",
        "Like energy per output token, minus the idle power with the model resident times the window's length. "
        "Unknown where the source gives the same power at work and idle: a fixed estimate.",
        False,
        symbol="J",
        energy=True,
        formula="(gross_j - baseline_w * window_s) / sum(output_tokens)",
    ),
    Metric(
        "net_energy_per_request_j",
        "Net energy per request",
        "J/request",
        "Like energy per request, minus the idle power with the model resident times the window's length. "
        "Unknown where the source gives the same power at work and idle: a fixed estimate.",
        False,
        symbol="J",
        energy=True,
        formula="(gross_j - baseline_w * window_s) / requests",
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
    Metric(
        "energy_per_prompt_token_j",
        "Energy per prompt token",
        "J/prompt token",
        "Gross energy of the prefill-only window over its prompt tokens; padding does not count.",
        False,
        symbol="J",
        energy=True,
        formula="prefill_j / (prefill_passes * prompt_tokens)",
    ),
    Metric(
        "prefill_energy_trace_j",
        "Prefill energy by trace",
        "J/request",
        "Prefill energy of the full window itself, over its requests: a regression of the meter's trace on the seconds "
        "before and after each first token.",
        False,
        symbol="J",
        energy=True,
    ),
    Metric(
        "decode_energy_trace_j",
        "Decode energy by trace",
        "J/request",
        "Energy per request minus prefill energy by trace.",
        False,
        symbol="J",
        energy=True,
        formula="gross_j / requests - prefill_energy_trace_j",
    ),
    Metric("window_s", "Window", "s", "Length of the measured window.", None, formula="window_s"),
    Metric(
        "passes",
        "Passes",
        "passes",
        "How often the prompt set was generated in the window.",
        None,
        formula="requests / prompts",
    ),
    Metric("requests", "Requests", "requests", "Prompts × passes of the window.", None, formula="requests"),
    Metric(
        "output_tokens", "Output tokens", "tokens", "Output tokens of the window.", None, formula="sum(output_tokens)"
    ),
    Metric(
        "input_tokens",
        "Input tokens",
        "tokens",
        "Prompt tokens of the window, without padding.",
        None,
        formula="sum(input_tokens)",
    ),
    Metric(
        "padded_tokens",
        "Padding",
        "tokens",
        "Padding before prompts and after the end of outputs.",
        None,
        formula="sum(padded_tokens)",
    ),
    Metric(
        "pass_cv",
        "Spread of passes",
        "ratio",
        "Coefficient of variation (sample standard deviation over mean) of the seconds per output token of the "
        "window's passes.",
        None,
    ),
)

# What the formulas are made of: name → what it is and which file holds it.
QUANTITIES = {
    "gross_j": "energy of the window `generate`, all devices, of one kind of source (`energy` in measurements.jsonl)",
    "window_s": "length of that window, between the same two moments of one monotonic clock",
    "prefill_j": "energy of the window `prefill`, whose passes end after the first token",
    "baseline_w": "idle power with context and weights resident, interpolated from the idle windows before and after "
    "the measured one to its middle",
    "requests": "rows of the window in requests.parquet: prompts × passes",
    "prompts": "prompts in one pass",
    "prompt_tokens": "prompt tokens in one pass, without padding",
    "prefill_passes": "passes of the window `prefill` (`calibration` in measurements.jsonl)",
    "output_tokens": "of each request: generated tokens up to and including the first end-of-sequence token",
    "input_tokens": "of each request: prompt tokens, without padding",
    "padded_tokens": "of each request: padding before the prompt and after the end of the output",
    "ttft_s": "of each request: from handing its batch to generate() to its first token",
    "request_tpot_s": "of each request: (last token − first token) / (output tokens − 1)",
    "e2e_latency_s": "of each request: from handing its batch to generate() to its return",
}

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
# The latencies whose distribution is in latencies.csv: one value per request, or per gap between two tokens.
REQUEST_LATENCIES: dict[str, Metric] = {
    "ttft_s": METRICS["ttft_s"],
    "itl_s": Metric(
        "itl_s",
        "Inter-token latency",
        "s",
        "Time between two tokens, each gap on its own.",
        False,
        symbol="s",
    ),
    "e2e_latency_s": METRICS["e2e_latency_s"],
}
CONTRACT_METRICS = tuple(metric.name for metric in _ALL if metric.contract)
# These have an uncertainty budget, so that the uncertainty of their means includes the instrument's.
ENERGY_METRICS = tuple(metric.name for metric in _ALL if metric.energy)
# Behind the contract's columns, with interval.
FURTHER_METRICS = (
    "process_memory_bytes",
    "net_energy_per_output_token_j",
    "net_energy_per_request_j",
    "baseline_power_w",
    "baseline_share",
    "energy_per_prompt_token_j",
    "prefill_energy_trace_j",
    "decode_energy_trace_j",
)
SUMMARY_METRICS = (*CONTRACT_METRICS, *FURTHER_METRICS)
HEAD_COLUMNS = (
    "experiment_id",
    "setup_id",
    "status",
    "failure_reason",
    "replicates",
    "suspect_left_out",
    "validity",
    "validity_codes",
    "model",
    "revision",
    "precision",
)
TAIL_COLUMNS = ("energy_source", "evidence_ok", "output_digest")
PARTS = ("mean", "ci95_low", "ci95_high")
# One value per setup, not per experiment: what it took to load the model.
LOAD_COLUMNS = ("load_s", "load_energy_j", "compile_s", "compile_energy_j", "resident_bytes")
