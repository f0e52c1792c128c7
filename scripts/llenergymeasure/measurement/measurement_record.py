"""What a record says of a measured experiment, from what the session holds: warnings, digests, rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from llenergymeasure.energy import Finding, Window, primary_energy
from llenergymeasure.energy.ledger import NO_SOURCE
from llenergymeasure.engine.evidence import Observation
from llenergymeasure.engine.generation.generation import Request
from llenergymeasure.engine.generation.padding import embedding_rows, padding_replaced
from llenergymeasure.engine.loading.load import LoadedModel
from llenergymeasure.engine.plain import plain
from llenergymeasure.measurement.calibration import Calibration
from llenergymeasure.measurement.prompts.prompts import PromptSet
from llenergymeasure.measurement.thermal import Thermal
from llenergymeasure.measurement.validity import INVALID, SUSPECT
from llenergymeasure.measurement.window_length import reached
from llenergymeasure.models.snapshot import Snapshot

# A window this much shorter than the study asked for was sized by passes that took longer.
SHORT_WINDOW = 0.8
# A window whose passes differ by more than this is not the steady state the calibration found.
UNSTABLE_CV = 0.1


def snapshot_identity(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "model": snapshot.model,
        "source": snapshot.source,
        "revision": snapshot.revision,
        "content_digest": snapshot.content_digest,
    }


def padding_warnings(loaded: LoadedModel) -> list[dict[str, str]]:
    """That the tokenizer's own padding could not be used, where that is so."""
    message = padding_replaced(loaded.tokenizer, embedding_rows(loaded.model))
    return [] if message is None else [{"code": "padding-replaced", "message": message}]


def window_findings(
    plan: Calibration, window: Window, thermal: Thermal, metrics: dict[str, Any], seen: Observation
) -> list[Finding]:
    """What makes the measured window another one than was asked for."""
    found = []
    if window.duration_s < SHORT_WINDOW * plan.min_window_s:
        found.append(
            Finding(
                "window-too-short",
                SUSPECT,
                f"the window lasted {window.duration_s:.3g} s, measurement.min_window_s asks for "
                f"{plan.min_window_s:g} s: its passes are faster than those of the calibration",
            )
        )
    if not plan.stable:
        found.append(
            Finding(
                "warmup-not-stable",
                SUSPECT,
                f"latency or temperature was still varying after {plan.warmup_passes} warm-up passes",
            )
        )
    if not thermal.within_band:
        found.append(
            Finding(
                "temperature-out-of-band",
                SUSPECT,
                f"the window began at {thermal.window_c:g} °C, its calibration ended at {thermal.target_c:g} °C "
                "(warmup.temperature_band_c)",
            )
        )
    spread = metrics["pass_cv"]
    if spread is not None and spread > UNSTABLE_CV:
        found.append(
            Finding(
                "window-not-stable", SUSPECT, f"passes in the window vary by {spread:.0%} (coefficient of variation)"
            )
        )
    found += energy_missing(window)
    share = reached(primary_energy(window.entries, window.phase))
    if share is not None and share > plan.energy_resolution:
        found.append(
            Finding(
                "energy-resolution-missed",
                SUSPECT,
                f"edges and noise of the meter are {share:.2%} of the window's energy, "
                f"measurement.energy_resolution asks for {plan.energy_resolution:.2%}",
            )
        )
    if seen.window_counts is not None and seen.window_counts["frames_seen"] > 0:
        frames = seen.window_counts["frames_seen"]
        found.append(
            Finding("recompiled-in-window", INVALID, f"{frames} frames were compiled while the window was open")
        )
    return [*found, *compiler_findings(seen)]


def compiler_findings(seen: Observation) -> list[Finding]:
    """What torch's compiler did that makes passes differ, without compiling anything in the window."""
    found = []
    graphs = (seen.window_counts or {}).get("graphs_recorded", 0)
    if graphs:
        found.append(
            Finding(
                "graphs-recorded-in-window", SUSPECT, f"{graphs} CUDA graphs were recorded while the window was open"
            )
        )
    given_up = seen.compile_counts.get("recompile_limits", 0)
    if given_up:
        found.append(
            Finding(
                "compiler-gave-up",
                SUSPECT,
                f"{given_up} functions reached torch's recompile limit: for new shapes they run uncompiled",
            )
        )
    return found


def energy_missing(window: Window) -> list[Finding]:
    """A device that nothing meters is no fault of a window; a meter that was there and gave no figure is."""
    return [
        Finding("energy-missing", SUSPECT, f"{entry.device} {entry.domain} in phase {entry.phase}: {entry.reason}")
        for entry in window.entries
        if entry.energy_j is None and entry.source != NO_SOURCE
    ]


def phase_warnings(phases: dict[str, Any] | None) -> list[dict[str, str]]:
    """A word where the two ways of finding the prefill energy contradict each other."""
    if phases is None or phases["agrees"]:
        return []
    return [
        {
            "code": "phases-disagree",
            "message": f"prefill takes {phases['prefill_window_j']:.3g} J a request in a window of its own and "
            f"{phases['prefill_trace_j']:.3g} J by the trace: {abs(phases['difference_j']):.2g} J apart, "
            f"{phases['allowed_j']:.2g} J is what their uncertainty allows (95 %)",
        }
    ]


def warning_of(finding: Finding) -> dict[str, str]:
    return {"code": finding.code, "message": finding.message}


def each_once(warnings: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The first of those that say the same: a meter's warning may be a finding too."""
    once: dict[str, dict[str, str]] = {}
    for warning in warnings:
        once.setdefault(warning["message"], warning)
    return list(once.values())


def digest_of(requests: Sequence[Request]) -> str:
    """SHA-256 over the outputs of the first pass, in request order."""
    return hashlib.sha256("\n".join(item.row.digest for item in first_pass(requests)).encode("ascii")).hexdigest()


def first_pass(requests: Sequence[Request]) -> list[Request]:
    """Its requests, in order. Every pass of a window does the same."""
    return sorted((request for request in requests if request.pass_index == 0), key=lambda item: item.request_index)


def request_row(request: Request, prompts: PromptSet) -> dict[str, Any]:
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
        "stop_reason": request.row.stop_reason,
        "output_digest": request.row.digest,
    }


def plain_settings(generation_config: Any) -> dict[str, Any] | None:
    """The settings generation ran with, those that are not the library's default."""
    if generation_config is None:
        return None
    settings: dict[str, Any] = generation_config.to_diff_dict()
    kept = str | int | float | bool | list
    return {name: plain(value) for name, value in settings.items() if isinstance(value, kept)}
