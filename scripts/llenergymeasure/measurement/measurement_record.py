"""What the worker reports of a measured experiment. Each function gives one named part of the record."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from llenergymeasure.engine.evidence import Observation
from llenergymeasure.engine.evidence.weight_verdict import groups
from llenergymeasure.engine.generation.generation import Request
from llenergymeasure.engine.plain import plain
from llenergymeasure.measurement.calibration import Calibration
from llenergymeasure.measurement.measuring import Measurement
from llenergymeasure.measurement.memory_checks import DriverMemory, MemoryWatch
from llenergymeasure.measurement.prompts.prompts import PromptSet
from llenergymeasure.measurement.validity import judge
from llenergymeasure.measurement.weights_source import QuantizedWeights
from llenergymeasure.models.snapshot import Snapshot
from llenergymeasure.records.finding import warning
from llenergymeasure.records.severity import INVALID


def measurement_record(
    measurement: Measurement,
    *,
    snapshot: Snapshot,
    weights: QuantizedWeights,
    devices: Mapping[str, Any],
    meters: Mapping[str, Any],
    memory: MemoryWatch,
    warnings: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """The record, but for its `output_match` and for what the manager adds."""
    outcome, observation = measurement.outcome, measurement.observation
    energy, warmed = outcome.figures.energy, measurement.windows.warmed
    validity = judge(measurement.findings)
    return {
        "status": "invalid" if validity["verdict"] == INVALID else "ok",
        "validity": validity,
        "evidence": measurement.evidence,
        "energy": [entry.to_dict() for entry in outcome.entries],
        "metrics": outcome.figures.metrics,
        "unknown": outcome.figures.unknown,
        "budget": energy.budget,
        "phases": energy.phases,
        "energy_source": energy.source,
        "boundary": energy.boundary,
        "output_digest": digest_outputs(outcome.requests),
        "prompts": prompts_part(measurement.prompts),
        "generation_config": plain_settings(observation.generation_config),
        "attention_kernels": attention_kernels_part(observation),
        "calibration": calibration_part(measurement.plan),
        "thermal": warmed.thermal.model_dump(),
        "graph_passes": warmed.graph_passes,
        "conditions": conditions_part(measurement),
        "snapshot": snapshot_part(snapshot),
        "quantized_weights": weights.to_dict(),
        "devices": devices,
        "memory": memory_part(memory, outcome.driver_memory),
        "meters": meters,
        "weight_storage": weight_storage_part(observation),
        "warnings": warnings,
        "worker_pid": os.getpid(),
    }


def digest_outputs(requests: Sequence[Request]) -> str:
    """SHA-256 over the outputs of the first pass, in request order."""
    digests = [request.row.digest for request in first_pass(requests)]
    return hashlib.sha256("\n".join(digests).encode("ascii")).hexdigest()


def first_pass(requests: Sequence[Request]) -> list[Request]:
    """The first pass's requests, in order. Every pass of a window does the same."""
    return sorted((request for request in requests if request.pass_index == 0), key=lambda item: item.request_index)


def prompts_part(prompts: PromptSet) -> dict[str, Any]:
    return {**prompts.description, "digest": prompts.digest}


def plain_settings(generation_config: Any) -> dict[str, Any] | None:
    """The settings generation ran with, those that are not the library's default."""
    if generation_config is None:
        return None
    settings: dict[str, Any] = generation_config.to_diff_dict()
    kept = str | int | float | bool | list
    return {name: plain(value) for name, value in settings.items() if isinstance(value, kept)}


def attention_kernels_part(observation: Observation) -> Sequence[str] | None:
    """Operators of attention that a decoding step called; None where they are not known."""
    return None if observation.heard is None else observation.heard.attention_kernels


def calibration_part(plan: Calibration) -> dict[str, Any]:
    """The calibration without what it recorded of each pass, which is in the calibration's own record."""
    return {**plan.to_dict(), **dict.fromkeys(("latencies_s", "temperatures_c", "elapsed_s"))}


def conditions_part(measurement: Measurement) -> dict[str, Any]:
    """What the meters noted beside the energy, by window."""
    return {
        "generate": measurement.windows.full.window.facts,
        "prefill": measurement.windows.prefill.window.facts,
        "idle_resident": [window.facts for window in measurement.outcome.baselines],
    }


def snapshot_part(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "model": snapshot.model,
        "source": snapshot.source,
        "revision": snapshot.revision,
        "content_digest": snapshot.content_digest,
    }


def memory_part(memory: MemoryWatch, driver: DriverMemory) -> dict[str, Any]:
    return {**memory.to_dict(), "driver": driver.to_dict()}


def weight_storage_part(observation: Observation) -> dict[str, Any]:
    """Of this process: all hold the same layers."""
    return {
        "at_load": [asdict(group) for group in groups(observation.loaded.storage_at_load)],
        "after_window": [asdict(group) for group in groups(observation.storage)],
    }


def phase_warnings(phases: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """A warning where the two ways of measuring the prefill energy contradict each other."""
    if phases is None or phases["agrees"]:
        return []
    message = (
        f"prefill takes {phases['prefill_window_j']:.3g} J per request in a window of its own and "
        f"{phases['prefill_trace_j']:.3g} J by the trace: {abs(phases['difference_j']):.2g} J apart, "
        f"{phases['allowed_j']:.2g} J is what their uncertainty allows (95 %)"
    )
    return [warning("phases-disagree", message)]


def each_once(warnings: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The warnings without those that repeat a message: a meter's warning may be a finding too."""
    by_message: dict[str, dict[str, str]] = {}
    for one in warnings:
        by_message.setdefault(one["message"], one)
    return list(by_message.values())


def request_row(request: Request, prompts: PromptSet) -> dict[str, Any]:
    """The request as a row of requests.parquet."""
    return {
        "pass_index": request.pass_index,
        "request_index": request.request_index,
        "batch_index": request.batch_index,
        "prompt_digest": prompts.prompts[request.request_index].digest,
        "input_tokens": request.input_tokens,
        "output_tokens": len(request.row.output_ids),
        "padded_tokens": request.padded_tokens,
        "ttft_s": request.ttft_s,
        "itl_s": list(request.itl_s),
        "e2e_latency_s": request.e2e_latency_s,
        "service_ttft_s": request.service_ttft_s,
        "service_e2e_latency_s": request.service_e2e_latency_s,
        "stop_reason": request.row.stop_reason,
        "output_digest": request.row.digest,
    }
