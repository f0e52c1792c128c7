"""The metrics of speed and latency."""

from __future__ import annotations

from llenergymeasure.records.metrics.metric import Metric

_SUBMISSION = "All prompts of a pass are submitted when it begins, so it includes queueing behind earlier batches"
_SERVICE = (
    "Its clock starts when the library begins the request: its batch is handed to generate(), or continuous batching "
    "takes it from the queue. Not compared between different `batching`"
)
_SHARED = "A step that yields several tokens (speculation) shares its time equally among them"

THROUGHPUT = Metric(
    "throughput_output_tokens_per_s",
    "Throughput",
    "output tokens/s",
    "Output tokens of the window over its length. Output tokens are generated tokens up to and including the "
    "first end-of-sequence token; prompt and padding tokens do not count.",
    True,
    formula="sum(output_tokens) / window_s",
    known_as="output token throughput of vLLM and AIPerf; tokens per second of MLPerf Inference",
)
FURTHER_RATES = (
    Metric(
        "throughput_total_tokens_per_s",
        "Throughput, input and output",
        "tokens/s",
        "Input and output tokens of the window over its length; padding does not count.",
        True,
        formula="(sum(input_tokens) + sum(output_tokens)) / window_s",
        known_as="total token throughput of vLLM",
    ),
    Metric(
        "throughput_requests_per_s",
        "Requests per second",
        "requests/s",
        "Requests of the window over its length.",
        True,
        formula="requests / window_s",
        known_as="request throughput of vLLM and AIPerf",
    ),
)
TTFT = Metric(
    "ttft_s",
    "TTFT",
    "s",
    f"Time to first token: from submission to the first token, mean over requests. {_SUBMISSION}; tokenising is not "
    "included.",
    False,
    symbol="s",
    formula="mean(ttft_s)",
    known_as="TTFT of vLLM, MLPerf Inference and AIPerf, without tokenising and network",
)
TPOT = Metric(
    "tpot_s",
    "TPOT",
    "s",
    "Time per output token: (last token − first token) / (output tokens − 1) of a request, mean over requests with "
    f"more than one token. {_SHARED}.",
    False,
    symbol="s",
    formula="mean(request_tpot_s)",
    known_as="TPOT of vLLM and MLPerf Inference; inter-token latency (ITL) of AIPerf and GenAI-Perf",
)
E2E = Metric(
    "e2e_latency_s",
    "End-to-end latency",
    "s",
    "From submission until the output is complete (static batching: until generate() returns the whole batch), mean "
    f"over requests. {_SUBMISSION}.",
    False,
    symbol="s",
    formula="mean(e2e_latency_s)",
    known_as="E2EL of vLLM; request latency of AIPerf, without tokenising and network",
)
SERVICE = (
    Metric(
        "service_ttft_s",
        "TTFT in service",
        "s",
        f"Time to first token without queueing, mean over requests. {_SERVICE}.",
        False,
        symbol="s",
        service=True,
        formula="mean(service_ttft_s)",
    ),
    Metric(
        "service_e2e_latency_s",
        "Latency in service",
        "s",
        f"Time until the output is complete, without queueing, mean over requests. {_SERVICE}.",
        False,
        symbol="s",
        service=True,
        formula="mean(service_e2e_latency_s)",
    ),
)
ITL = Metric(
    "itl_s",
    "Inter-token latency",
    "s",
    f"Time between two tokens, each gap on its own. {_SHARED}, which smooths the distribution.",
    False,
    symbol="s",
    known_as="ITL of vLLM, which has the gaps between outputs and so a speculative step as one gap",
)
SLO_SHARE = Metric(
    "slo_share",
    "Requests inside the SLO",
    "ratio",
    "Requests inside all limits of the study's `slo` over all requests of the window. A request with a single output "
    "token has no TPOT, so it is inside that limit.",
    True,
    afterwards=True,
    formula="slo_requests / requests",
    known_as="request goodput of vLLM and of AIPerf is this times `throughput_requests_per_s`",
)
