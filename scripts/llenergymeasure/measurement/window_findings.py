"""What makes a measured window another one than was asked for."""

from __future__ import annotations

from typing import Any

from llenergymeasure.config import WarmupConfig
from llenergymeasure.energy import Window, primary_energy
from llenergymeasure.energy.ledger import NO_SOURCE
from llenergymeasure.engine.evidence import Observation
from llenergymeasure.measurement.calibration import Calibration
from llenergymeasure.measurement.window_length import reached
from llenergymeasure.records.finding import Finding, warning
from llenergymeasure.records.measurement import ThermalRecord

# A window this much shorter than the study asked for was sized by passes that took longer.
SHORT_WINDOW = 0.8
# A window whose passes differ by more than this is not the steady state that the calibration reached.
UNSTABLE_CV = 0.1


def window_findings(
    plan: Calibration, window: Window, thermal: ThermalRecord, metrics: dict[str, Any], observation: Observation
) -> list[Finding]:
    """Findings on the length, the steadiness, the energy and the compiled code of the full window."""
    return [
        *_too_short(plan, window),
        *_not_steady(plan, thermal, metrics["pass_cv"]),
        *energy_missing(window),
        *_resolution_missed(plan, window),
        *_recompiled(observation),
        *compiler_findings(observation),
    ]


def energy_missing(window: Window) -> list[Finding]:
    """A device that nothing meters is not a fault of a window; a meter that is there and gives no figure is one."""
    return [
        Finding("energy-missing", f"{entry.device} {entry.domain} in phase {entry.phase}: {entry.reason}")
        for entry in window.entries
        if entry.energy_j is None and entry.source != NO_SOURCE
    ]


def compiler_findings(observation: Observation) -> list[Finding]:
    """What torch's compiler did that makes passes differ, without compiling anything in the window."""
    findings = []
    graphs = (observation.window_counts or {}).get("graphs_recorded", 0)
    if graphs:
        findings.append(
            Finding("graphs-recorded-in-window", f"{graphs} CUDA graphs were recorded while the window was open")
        )
    given_up = observation.compile_counts.get("recompile_limits", 0)
    if given_up:
        findings.append(
            Finding(
                "compiler-gave-up",
                f"{given_up} functions reached torch's recompile limit: for new shapes they run uncompiled",
            )
        )
    return findings


def _too_short(plan: Calibration, window: Window) -> list[Finding]:
    if window.duration_s >= SHORT_WINDOW * plan.min_window_s:
        return []
    message = (
        f"the window lasted {window.duration_s:.3g} s, measurement.min_window_s asks for "
        f"{plan.min_window_s:g} s: its passes are faster than those of the calibration"
    )
    return [Finding("window-too-short", message)]


def _not_steady(plan: Calibration, thermal: ThermalRecord, pass_cv: float | None) -> list[Finding]:
    findings = []
    if not plan.stable:
        message = f"latency or temperature was still varying after {len(plan.latencies_s)} warm-up passes"
        findings.append(Finding("warmup-not-stable", message))
    if not thermal.within_band:
        message = (
            f"the window began at {thermal.window_c:g} °C, and was to begin at {thermal.goal_c:.3g} °C "
            "(warmup.temperature_band_c)"
        )
        findings.append(Finding("temperature-out-of-band", message))
    if pass_cv is not None and pass_cv > UNSTABLE_CV:
        message = f"passes in the window vary by {pass_cv:.0%} (coefficient of variation)"
        findings.append(Finding("window-not-stable", message))
    return findings


def off_target(thermal: ThermalRecord, warmup: WarmupConfig) -> list[dict[str, str]]:
    """A warning where the experiment comes to rest at another temperature than the study's others are measured at."""
    if thermal.target_c is None or thermal.goal_c is None or thermal.end_c is None:
        return []
    if abs(thermal.end_c - thermal.target_c) <= 2 * warmup.temperature_band_c:
        return []
    if thermal.end_c < thermal.target_c:
        how = f"so its window began at {thermal.window_c:g} °C"
    else:
        how = "so its devices still became warmer while it was measured"
    share = ""
    if thermal.power_per_c_w is not None and thermal.off_c is not None:
        share = f"; {thermal.off_c:.0f} °C are up to {abs(thermal.power_per_c_w) * thermal.off_c:.2g} W in its budget"
    message = (
        f"the study's runs begin at {thermal.target_c:.3g} °C on this board, and this experiment comes to rest at "
        f"{thermal.end_c:.3g} °C, {how}{share}"
    )
    return [warning("temperature-off-target", message)]


def _resolution_missed(plan: Calibration, window: Window) -> list[Finding]:
    share = reached(primary_energy(window.entries, window.phase))
    if share is None or share <= plan.energy_resolution:
        return []
    message = (
        f"edges and noise of the meter are {share:.2%} of the window's energy, "
        f"measurement.energy_resolution asks for {plan.energy_resolution:.2%}"
    )
    return [Finding("energy-resolution-missed", message)]


def _recompiled(observation: Observation) -> list[Finding]:
    if observation.window_counts is None or not observation.window_counts["frames_seen"]:
        return []
    frames = observation.window_counts["frames_seen"]
    return [Finding("recompiled-in-window", f"{frames} frames were compiled while the window was open")]
