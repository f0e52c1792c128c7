"""Parts of the records of a made-up study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llenergymeasure.energy.ledger import Span
from llenergymeasure.records.ledger import Component
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.setup import LoadRecord


def ledger_entry(phase: str, source: str, energy_j: float, duration_s: float, uncertainty: float) -> dict[str, Any]:
    budget = [Component("made up", uncertainty * energy_j, "gain", "rectangular")]
    return Span(phase, 10.0, 10.0 + duration_s).known("host", "cpu", source, energy_j, budget).to_dict()


def evidence(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    asked = {f"pytorch.{name}": value for name, value in config["pytorch"].items()}
    return {
        path: {
            "requested": value,
            "effective": value,
            "observed": f"seen as {value}",
            "verdict": "default" if value is None else "applied",
        }
        for path, value in {"precision": config["precision"], **asked}.items()
    }


def environment() -> dict[str, Any]:
    return {
        "fingerprint": "0123456789abcdef",
        "python": "3.11.7",
        "packages": {"torch": "2.13.0+cpu", "transformers": "5.23.0", "bitsandbytes": None},
        "system": "Linux-6.1-x86_64",
        "cpu": "Example CPU 2 GHz",
        "hostname": "bench",
        "git_commit": "ab" * 20,
        "git_dirty": False,
        "models_lock_sha256": None,
        "placement": {"workers": 1, "devices": [], "drawn": [], "cores": [], "alone": True},
        "libraries": {"cuda": None, "cudnn": None, "nccl": None},
    }


def failed_load(setup_id: str, weights: dict[str, str]) -> LoadRecord:
    """The record of a setup that could not be loaded. weights: digests by role"""
    failure = {"stage": "load", "class": "Error", "reason": "made up", "log": "log"}
    return LoadRecord.from_plain(
        {
            "schema_version": SCHEMA_VERSION,
            "setup_id": setup_id,
            "config": {},
            "environment": environment(),
            "weights": weights,
            "status": "failed",
            "failure": failure,
        }
    )


def phases(*, agrees: bool) -> dict[str, Any]:
    difference_j = 0.1 if agrees else 0.9
    return {
        "prefill_window_j": 3.0,
        "prefill_trace_j": 3.0 - difference_j,
        "difference_j": difference_j,
        "allowed_j": 0.5,
        "agrees": agrees,
    }


def prompts() -> dict[str, Any]:
    return {
        "source": "builtin",
        "name": None,
        "revision": None,
        "path": None,
        "column": None,
        "messages": None,
        "file_sha256": None,
        "n": 4,
        "kinds": {"text": 4},
        "input_tokens": {"min": 48, "mean": 48.0, "max": 48},
        "truncated": 0,
        "skipped": 0,
        "sample_seed": None,
        "min_tokens": None,
        "max_tokens": None,
        "chat_template": "off",
        "message_content": None,
        "system_prompt": None,
        "chat_template_kwargs": None,
    }


def settings_as_run() -> dict[str, Any]:
    """What a record says of how its run went, which no table shows."""
    moment = {"in_use_bytes": 1, "private_bytes": 1, "reserved_bytes": None, "fragmented_bytes": None}
    calibration = {"warmup_passes": 3, "measured_passes": 2, "prefill_passes": 2, "pass_s": 0.3, "prefill_pass_s": 0.1}
    calibration |= {"cv": 0.01, "stable": True, "min_window_s": 0.5, "energy_resolution": 0.01}
    return {
        "generation_config": {"do_sample": False},
        "attention_kernels": [],
        "calibration": {
            **calibration,
            **dict.fromkeys(("latencies_s", "temperatures_c", "elapsed_s", "resolution_window_s")),
        },
        "thermal": {
            "target_c": None,
            "start_c": None,
            "cooled_s": 0.0,
            "extra_passes": 0,
            "window_c": None,
            "within_band": True,
        },
        "graph_passes": 0,
        "conditions": {"generate": {}, "prefill": {}, "idle_resident": []},
        "quantized_weights": None,
        "memory": {
            "at_start": moment,
            "at_window": moment,
            "left_behind_bytes": None,
            "peak_is_of_the_window": True,
            "driver": {"bytes": None, "reason": "no GPU holds parameters of the model", "source": "NVML"},
        },
    }
