"""The metrics of memory, and of what the window contained."""

from __future__ import annotations

from llenergymeasure.records.metrics.metric import Metric

PEAK_MEMORY = Metric(
    "peak_memory_bytes",
    "Peak memory",
    "bytes",
    "Highest memory in use while the window was open: allocated on the accelerators that hold parameters, or the "
    "resident set of the process on a CPU.",
    False,
    symbol="bytes",
)
PROCESS_MEMORY = Metric(
    "process_memory_bytes",
    "Process memory",
    "bytes",
    "Memory of the GPUs that the experiment's processes hold when the window ends, as the driver counts it: it "
    "includes contexts, workspaces and recorded graphs, which peak memory does not. Unknown without a GPU, and "
    "where a container hides process ids.",
    False,
    symbol="bytes",
)
CONTENTS = (
    Metric(
        "window_s",
        "Window",
        "s",
        "Length of the measured window, without pauses between its passes.",
        None,
        formula="window_s",
    ),
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
