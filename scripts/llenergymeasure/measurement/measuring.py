"""Run the measured windows of one experiment, read what they gave, and find what makes it doubtful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llenergymeasure.config import WarmupConfig
from llenergymeasure.energy import LedgerEntry, Window
from llenergymeasure.engine.evidence import Observation
from llenergymeasure.engine.generation.generation import Request
from llenergymeasure.measurement.calibration import Calibration
from llenergymeasure.measurement.memory_checks import DriverMemory, MemoryWatch, driver_memory
from llenergymeasure.measurement.metrics.baselines import baseline_findings
from llenergymeasure.measurement.metrics.energy_metrics import negative_energy
from llenergymeasure.measurement.metrics.prefill_decode import TraceSplit, split_trace
from llenergymeasure.measurement.metrics.window_metrics import Figures, MetricInputs, compute_metrics
from llenergymeasure.measurement.passes import Passes, Ran, Warmed
from llenergymeasure.measurement.prompts.prompts import PromptSet
from llenergymeasure.measurement.rhythm.loops import tell_loops
from llenergymeasure.measurement.validity import ignored_settings, logits_not_finite
from llenergymeasure.measurement.warmth.thermal import Aim, power_doubt
from llenergymeasure.measurement.window_findings import energy_missing, window_findings
from llenergymeasure.records.finding import Finding


@dataclass(frozen=True)
class MeasuredWindows:
    """The warm-up, the full window, and the window whose passes end after the prefill.

    peak_memory_bytes: of this process, over the full window
    """

    warmed: Warmed
    full: Ran
    prefill: Ran
    peak_memory_bytes: int


@dataclass(frozen=True)
class Outcome:
    """What the windows gave.

    requests: of every process, those of the full window
    entries: of the ledger, of both windows, the warm-up and the idle windows around them
    baselines: the idle windows with the model resident
    """

    requests: Sequence[Request]
    entries: Sequence[LedgerEntry]
    baselines: Sequence[Window]
    driver_memory: DriverMemory
    figures: Figures


@dataclass(frozen=True)
class Measurement:
    """One experiment, measured once: what was planned, what ran, and what it came to.

    evidence: dotted path of a parameter → requested, effective, observed, verdict
    """

    plan: Calibration
    prompts: PromptSet
    observation: Observation
    windows: MeasuredWindows
    outcome: Outcome
    evidence: Mapping[str, Mapping[str, Any]]
    findings: Sequence[Finding]


def run_windows(
    passes: Passes,
    plan: Calibration,
    goal: Aim | None,
    warmup: WarmupConfig,
    observation: Observation,
    memory: MemoryWatch,
) -> MeasuredWindows:
    """Warm up as calibrated, then run the full window and the prefill-only one.

    goal: how warm the devices are to be; None where that is not known
    Fills `observation`: what the instrumented pass used, and what torch's compiler did in the windows.
    """
    warmed = passes.warm(warmup, plan, goal, observation)
    memory.open_window()
    sensors = tuple(warmed.window.sensors.values())
    full = passes.window("generate", plan.measured_passes, plan.pass_s, rhythm_s=warmed.step_s, sensors=sensors)
    peak_memory_bytes = passes.devices.peak_memory_bytes()
    prefill = passes.window(
        "prefill",
        plan.prefill_passes,
        plan.prefill_pass_s,
        prefill_only=True,
        rhythm_s=warmed.prefill_s,
        sensors=sensors,
    )
    observation.window_counts = {name: number + prefill.counts[name] for name, number in full.counts.items()}
    observation.count()
    return MeasuredWindows(warmed, full, prefill, peak_memory_bytes)


def read_windows(
    ran: MeasuredWindows, passes: Passes, plan: Calibration, prompts: PromptSet, device_uuids: Sequence[str]
) -> Outcome:
    """Turn what ran into requests, ledger entries and metrics. Only after the idle window that follows the windows.

    device_uuids: of the devices that hold parameters, in all processes
    """
    for measured in (ran.full, ran.prefill):
        tell_loops(measured, passes)
    full = ran.full.window
    requests = passes.requests(ran.full.raw)
    split, no_split = _split(ran.full, passes)
    inputs = MetricInputs(
        requests=requests,
        pass_s=passes.seconds(ran.full.raw),
        window_s=full.duration_s - ran.full.paused_s,
        prefill_passes=plan.prefill_passes,
        prompt_tokens_per_pass=sum(len(prompt.input_ids) for prompt in prompts.prompts),
        requests_per_pass=len(prompts.prompts),
        peak_memory_bytes=sum(passes.group.gather(ran.peak_memory_bytes)),
        driver_memory=driver_memory(full.facts, device_uuids),
        split=split,
        no_split=no_split,
        doubt=power_doubt(ran.warmed.thermal),
    )
    entries = [
        *passes.windows.idle_entries(full.start_monotonic_s),
        *ran.warmed.window.entries,
        *full.entries,
        *ran.prefill.window.entries,
    ]
    return Outcome(
        requests=requests,
        entries=entries,
        baselines=passes.windows.baselines(full.start_monotonic_s),
        driver_memory=inputs.driver_memory,
        figures=compute_metrics(inputs, entries),
    )


def _split(full: Ran, passes: Passes) -> tuple[TraceSplit | None, str | None]:
    if passes.group.size > 1:
        return None, "several processes are in different phases at a time"
    timeline = passes.generator.timeline(full.raw, full.anchor)
    return split_trace(full.window.intervals, timeline, full.window.sensors)


def find_doubts(
    plan: Calibration,
    ran: MeasuredWindows,
    outcome: Outcome,
    observation: Observation,
    evidence: Mapping[str, Mapping[str, Any]],
    logits: tuple[int, int],
) -> list[Finding]:
    """Everything that makes the experiment's figures suspect or invalid.

    logits: rows that are not finite, and all rows, in the instrumented pass
    """
    full, prefill = ran.full.window, ran.prefill.window
    return [
        *ignored_settings(evidence),
        *logits_not_finite(*logits),
        *window_findings(plan, full, ran.warmed.thermal, outcome.figures.metrics, observation),
        *full.findings,
        *energy_missing(prefill),
        *prefill.findings,
        *baseline_findings(outcome.baselines),
        *negative_energy(outcome.figures.energy),
    ]
