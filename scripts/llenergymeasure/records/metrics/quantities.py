"""What the formulas of the metrics are made of: name → what it is and which file holds it."""

from __future__ import annotations

from llenergymeasure.records.ledger import DOMAINS

QUANTITIES = {
    "gross_j": "energy of the window `generate`, over the run's `boundary`, of one kind of source (`energy` in "
    "measurements.jsonl)",
    **{
        f"gross_{domain}_j": f"the part of it that {devices} took; also where `energy.boundary` excludes them"
        for domain, devices in DOMAINS.items()
    },
    "window_s": "length of that window, between the same two moments of one monotonic clock, without the pauses "
    "between passes that a part-time power sensor may need (docs/energy.md); average power and net energy count these "
    "too",
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
    "ttft_s": "of each request: from submission to its first token; all prompts of a pass are submitted when it begins",
    "service_ttft_s": "of each request: from the moment at which the library began it to its first token",
    "request_tpot_s": "of each request: (last token − first token) / (output tokens − 1)",
    "e2e_latency_s": "of each request: from submission until its output is complete",
    "service_e2e_latency_s": "of each request: from the moment at which the library began it until its output is "
    "complete",
    "slo_requests": "requests of the window inside the limits of the study's `slo`",
}
