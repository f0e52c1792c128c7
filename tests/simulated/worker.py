"""Answers as the worker does, at once and without a model: every figure follows from the experiment's settings.

Run in place of `llenergymeasure.measurement.worker`, see `hook`. Imports next to nothing, since there is one a job.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from llenergymeasure.measurement.worker.channel import WORKER_DESCRIPTOR, receive, send

SOURCE = "measured:nvml-total-energy"
DEVICE = "GPU-simulated"
# What a measurement's record keeps of the calibration.
ASKED = (
    *("warmup_passes", "measured_passes", "prefill_passes", "pass_s", "prefill_pass_s", "cv", "stable"),
    *("min_window_s", "energy_resolution", "resolution_window_s"),
)
POWER_W, IDLE_W, PASSES, PROMPT_TOKENS = 310.0, 92.0, 2, 48


def main() -> None:
    connection = Connection(int(os.environ.pop(WORKER_DESCRIPTOR)))
    commands = {"load": load, "warmup": warmup, "measure": measure}
    try:
        while True:
            message = receive(connection)
            config = message["config"]
            if message["do"] != "load" and refuses(config):
                reason = {"stage": message["do"], "class": "OutOfMemoryError", "reason": "simulated: out of memory"}
                send(connection, {"failure": reason})
            else:
                send(connection, {"done": commands[message.pop("do")](**message)})
    except (EOFError, ConnectionError):
        pass


def refuses(config: Mapping[str, Any]) -> bool:
    """One experiment of every hundredth load is too large for the simulated device."""
    return config["cpu_threads"] % 100 == 2 and config["pytorch"]["batch_size"] == 20


def load(*, config: dict[str, Any], **_: Any) -> dict[str, Any]:
    seconds = 1.5 + 0.01 * config["cpu_threads"]
    return {
        "load_s": seconds,
        "energy": [ledger_entry("load", IDLE_W * seconds, seconds)],
        "memory": {"load_peak_bytes": 1_120_000_000, "resident_bytes": 540_000_000, "source": "simulated"},
        "quantized_weights": None,
        "evidence": {},
        "devices": devices(),
        "libraries": {"cuda": "13.0", "cudnn": "91002", "nccl": "2.27.7"},
        "meters": meters(),
        "warnings": [],
        "parameters": 1_000_000,
        "worker_pid": os.getpid(),
    }


def warmup(
    *, config: dict[str, Any], min_window_s: float, energy_resolution: float, prompts_digest: str
) -> dict[str, Any]:
    pass_s = seconds_of(config)
    return {
        "warmup_passes": 3,
        "measured_passes": PASSES,
        "prefill_passes": PASSES,
        "pass_s": pass_s,
        "prefill_pass_s": pass_s / 8,
        "latencies_s": [1.3 * pass_s, pass_s, pass_s],
        "temperatures_c": [50.0, 55.0, 55.0],
        "elapsed_s": [1.3 * pass_s, 2.3 * pass_s, 3.3 * pass_s],
        "cv": 0.01,
        "stable": True,
        "min_window_s": min_window_s,
        "energy_resolution": energy_resolution,
        "resolution_window_s": None,
        "expected_s": 6 * pass_s,
        "prompts": prompts(config),
        "prompts_digest": prompts_digest,
        "outputs": [
            {"request_index": place, "prompt_ids": [place, 1, 2], "output_ids": output_of(config, place)}
            for place in range(config["n_prompts"])
        ],
    }


def measure(
    *, config: dict[str, Any], calibration: dict[str, Any], reference: dict[str, Any], **_: Any
) -> dict[str, Any]:
    # The process stands in for what differs from one to the next.
    noise = random.Random(f"{os.getpid()}/{json.dumps(config, sort_keys=True)}")
    window_s = PASSES * seconds_of(config) * noise.gauss(1, 0.01)
    count = PASSES * config["n_prompts"]
    energy_j, prefill_j = POWER_W * window_s, POWER_W * window_s / 8
    metrics = metrics_of(config, window_s)
    record = {
        "status": "ok",
        "validity": {"verdict": "valid", "reasons": []},
        "evidence": evidence_of(config),
        "energy": [ledger_entry("generate", energy_j, window_s), ledger_entry("prefill", prefill_j, window_s / 8)],
        "metrics": metrics,
        "unknown": {},
        "budget": {name: budget_of(value) for name, value in metrics.items() if "energy" in name or "power" in name},
        "phases": {
            "prefill_window_j": prefill_j / count,
            "prefill_trace_j": 1.01 * prefill_j / count,
            "difference_j": -0.01 * prefill_j / count,
            "allowed_j": 0.1 * prefill_j / count,
            "agrees": True,
        },
        "energy_source": SOURCE,
        "boundary": "gpu",
        "output_digest": digest_of(str(output_of(config, 0))),
        "prompts": {**prompts(config), "digest": calibration["prompts_digest"]},
        "calibration": {
            **{name: calibration[name] for name in ASKED},
            **dict.fromkeys(("latencies_s", "temperatures_c", "elapsed_s")),
        },
        **as_run(),
        "snapshot": {
            "model": config["model"],
            "source": "random",
            "revision": None,
            "content_digest": digest_of("model"),
        },
        "devices": devices(),
        "meters": meters(),
        "warnings": [],
        "worker_pid": os.getpid(),
        "output_match": answer_of(config, reference),
    }
    requests = [request_row(config, place, window_s, noise) for place in range(count)]
    power = [power_row(place * window_s / 10) for place in range(11)]
    return {"record": record, "requests": requests, "power": power, "scoring_failed": False}


def metrics_of(config: Mapping[str, Any], window_s: float) -> dict[str, Any]:
    count, tokens = PASSES * config["n_prompts"], config["max_output_tokens"]
    energy_j, prefill_j = POWER_W * window_s, POWER_W * window_s / 8
    return {
        "throughput_output_tokens_per_s": count * tokens / window_s,
        "ttft_s": window_s / 16,
        "tpot_s": window_s / 16 / tokens,
        "e2e_latency_s": window_s / 8,
        "service_ttft_s": window_s / 16,
        "service_e2e_latency_s": window_s / 8,
        "throughput_total_tokens_per_s": count * (PROMPT_TOKENS + tokens) / window_s,
        "peak_memory_bytes": 1_000_000_000 + 31_000_000 * config["pytorch"]["batch_size"],
        "process_memory_bytes": 1_600_000_000 + 31_000_000 * config["pytorch"]["batch_size"],
        "output_tokens": count * tokens,
        "input_tokens": PROMPT_TOKENS * count,
        "padded_tokens": 0,
        "requests": count,
        "passes": PASSES,
        "window_s": window_s,
        "pass_cv": 0.01,
        "energy_per_output_token_j": energy_j / count / tokens,
        "net_energy_per_output_token_j": (energy_j - IDLE_W * window_s) / count / tokens,
        "energy_per_request_j": energy_j / count,
        "net_energy_per_request_j": (energy_j - IDLE_W * window_s) / count,
        "baseline_power_w": IDLE_W,
        "baseline_share": IDLE_W / POWER_W,
        "energy_per_prompt_token_j": prefill_j / count / PROMPT_TOKENS,
        "prefill_energy_j": prefill_j / count,
        "decode_energy_j": (energy_j - prefill_j) / count,
        "decode_energy_per_token_j": (energy_j - prefill_j) / count / (tokens - 1) if tokens > 1 else None,
        "energy_delay_product_j_s": energy_j / count * window_s / 8,
        "energy_per_output_token_gpu_j": energy_j / count / tokens,
        "energy_per_request_gpu_j": energy_j / count,
        "prefill_energy_trace_j": 1.01 * prefill_j / count,
        "decode_energy_trace_j": (energy_j - 1.01 * prefill_j) / count,
        "average_power_w": POWER_W,
    }


def seconds_of(config: Mapping[str, Any]) -> float:
    """A pass takes less with a larger session, and more or less with the number of threads."""
    return (1 + 4 / config["pytorch"]["batch_size"]) * (1 + 0.3 * ((config["cpu_threads"] * 37) % 101) / 101)


def output_of(config: Mapping[str, Any], place: int) -> list[int]:
    """Every seventh load says something else at the end."""
    return [place] * (config["max_output_tokens"] - 1) + [int(config["cpu_threads"] % 7 == 0)]


def answer_of(config: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    wanted = [row["output_ids"] for row in reference["outputs"]]
    same = wanted == [output_of(config, place) for place in range(config["n_prompts"])]
    tokens = config["max_output_tokens"]
    return {
        "reference": reference["experiment_id"],
        "comparable": True,
        "reason": None,
        "requests": config["n_prompts"],
        "identical": same,
        "identical_requests": config["n_prompts"] if same else 0,
        "first_difference": None if same else tokens - 1,
        "equal_token_share": 1.0 if same else 1 - 1 / tokens,
        "reference_tokens": config["n_prompts"] * tokens,
        "reference_logprob_mean": -1.75 if same else -2.0,
        "logprob_reason": None,
    }


def evidence_of(config: Mapping[str, Any]) -> dict[str, Any]:
    asked = {"precision": config["precision"], "cpu_threads": config["cpu_threads"]}
    asked |= {f"pytorch.{name}": value for name, value in config["pytorch"].items()}
    return {
        path: {
            "requested": value,
            "effective": value,
            "observed": f"seen as {value}",
            "verdict": "default" if value is None else "applied",
        }
        for path, value in asked.items()
    }


def ledger_entry(phase: str, energy_j: float, duration_s: float) -> dict[str, Any]:
    return {
        "phase": phase,
        "device": DEVICE,
        "domain": "gpu",
        "energy_j": energy_j,
        "duration_s": duration_s,
        "source": SOURCE,
        "standard_uncertainty_j": 0.01 * energy_j,
        "uncertainty_basis": "simulated",
        "start_monotonic_s": 10.0,
        "end_monotonic_s": 10.0 + duration_s,
        **dict.fromkeys(("reason", "cross_check")),
        "expanded_uncertainty_j": 0.02 * energy_j,
        "components": [
            {"name": "tick", "standard_j": 0.001 * energy_j, "kind": "edge", "distribution": "normal"},
            {"name": "gain", "standard_j": 0.01 * energy_j, "kind": "gain", "distribution": "rectangular"},
        ],
        "in_boundary": True,
    }


def budget_of(value: float) -> list[dict[str, Any]]:
    return [
        {"name": "tick", "standard_uncertainty": 0.001 * value, "kind": "edge", "distribution": "normal"},
        {"name": "gain", "standard_uncertainty": 0.01 * value, "kind": "gain", "distribution": "rectangular"},
    ]


def request_row(config: Mapping[str, Any], place: int, window_s: float, noise: random.Random) -> dict[str, Any]:
    tokens, prompt = config["max_output_tokens"], place % config["n_prompts"]
    ttft_s = window_s / 16 * noise.lognormvariate(0, 0.1)
    gaps = [window_s / 16 / tokens * noise.lognormvariate(0, 0.1) for _ in range(tokens - 1)]
    return {
        "pass_index": place // config["n_prompts"],
        "request_index": prompt,
        "batch_index": prompt // config["pytorch"]["batch_size"],
        "prompt_digest": digest_of(str(prompt)),
        "input_tokens": PROMPT_TOKENS,
        "output_tokens": tokens,
        "padded_tokens": 0,
        "ttft_s": ttft_s,
        "itl_s": gaps,
        "e2e_latency_s": ttft_s + sum(gaps),
        "service_ttft_s": ttft_s,
        "service_e2e_latency_s": ttft_s + sum(gaps),
        "stop_reason": "length",
        "output_digest": digest_of(str(output_of(config, prompt))),
    }


def power_row(seconds: float) -> dict[str, Any]:
    return {
        "monotonic_s": seconds,
        "phase": "generate",
        "device": DEVICE,
        "power_w": POWER_W,
        "energy_counter_j": POWER_W * seconds,
        "source": SOURCE,
        "temperature_c": 55.0,
        "sm_clock_mhz": 1980.0,
        "memory_clock_mhz": 2619.0,
        "throttle_reasons": [],
    }


def devices() -> dict[str, Any]:
    board = {"index": 0, "name": "Simulated GPU", "uuid": DEVICE, "memory_bytes": 80_000_000_000}
    return {"kind": "cuda", "devices": [{**board, "compute_capability": "9.0"}]}


def prompts(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "source": "builtin",
        **dict.fromkeys(("name", "revision", "path", "column", "messages", "file_sha256", "message_content")),
        **dict.fromkeys(("sample_seed", "min_tokens", "max_tokens", "system_prompt", "chat_template_kwargs")),
        "n": config["n_prompts"],
        "kinds": {"text": config["n_prompts"]},
        "input_tokens": {"min": PROMPT_TOKENS, "mean": float(PROMPT_TOKENS), "max": PROMPT_TOKENS},
        "truncated": 0,
        "skipped": 0,
        "chat_template": "off",
    }


def as_run() -> dict[str, Any]:
    """What no table shows."""
    moment = {"in_use_bytes": 1, "private_bytes": 1, "reserved_bytes": None, "fragmented_bytes": None}
    return {
        **dict.fromkeys(("generation_config", "attention_kernels", "quantized_weights")),
        "thermal": {
            **dict.fromkeys(("target_c", "start_c", "window_c"), 55.0),
            "cooled_s": 0.0,
            "extra_passes": 0,
            "within_band": True,
        },
        "graph_passes": 0,
        "conditions": {"generate": {}, "prefill": {}, "idle_resident": []},
        "memory": {
            "at_start": moment,
            "at_window": moment,
            "left_behind_bytes": None,
            "peak_is_of_the_window": True,
            "driver": {"bytes": None, "reason": "simulated", "source": "simulated"},
        },
    }


def meters() -> dict[str, Any]:
    # A meter may say of itself what it likes: here, which devices its process sees.
    environment = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")}
    return {
        "meters": [{"meter": "nvml", "environment": environment}],
        "devices": [{"meter": "nvml", "name": "Simulated GPU"}],
        "refused": [],
    }


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
