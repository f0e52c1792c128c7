"""The columns of the summary, in order."""

from __future__ import annotations

from llenergymeasure.records.metrics import energy, speed

CONTRACT_METRICS = (
    "throughput_output_tokens_per_s",
    "energy_per_output_token_j",
    "energy_per_request_j",
    "prefill_energy_j",
    "decode_energy_j",
    "ttft_s",
    "tpot_s",
    "e2e_latency_s",
    "peak_memory_bytes",
    "average_power_w",
)
# Behind the contract's columns, with interval.
FURTHER_METRICS = (
    "process_memory_bytes",
    *(metric.name for metric in (*speed.SERVICE, *speed.FURTHER_RATES)),
    "net_energy_per_output_token_j",
    "net_energy_per_request_j",
    "baseline_power_w",
    "baseline_share",
    "decode_energy_per_token_j",
    "energy_per_prompt_token_j",
    "prefill_energy_trace_j",
    "decode_energy_trace_j",
    *(metric.name for metric in energy.BY_DOMAIN),
    "energy_delay_product_j_s",
    "slo_share",
    "energy_per_slo_request_j",
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
TAIL_COLUMNS = ("energy_source", "boundary", "evidence_ok", "output_digest")
PARTS = ("mean", "ci95_low", "ci95_high")
# One value per setup, not per experiment: what it took to load the model.
LOAD_COLUMNS = ("load_s", "load_energy_j", "compile_s", "compile_energy_j", "resident_bytes")
