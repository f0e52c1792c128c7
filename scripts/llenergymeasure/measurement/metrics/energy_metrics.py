"""The energy figures of one window, each with its budget; gross and net, prefill and decode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llenergymeasure.energy import LedgerEntry, PhaseEnergy, primary_energy
from llenergymeasure.energy.ledger import MEASURED
from llenergymeasure.energy.uncertainty import Component
from llenergymeasure.measurement.metrics.baselines import Baseline, baseline_under, net_components
from llenergymeasure.measurement.metrics.budget import SHARED, PowerDoubt, difference, scaled
from llenergymeasure.measurement.metrics.prefill_decode import Part, TraceSplit, agreement
from llenergymeasure.records.finding import Finding

# What is known only where a source can tell work from idling.
OF_TWO_POWERS = ("net_energy_per_output_token_j", "net_energy_per_request_j", "baseline_share")
BASELINE_METRICS = (*OF_TWO_POWERS, "baseline_power_w")
ONE_POWER = (
    "its source gives the same power at work as idle: an estimate from a fixed power, which says nothing about either"
)
# Sums and quotients of doubles (2⁻⁵³ each, relative) differ by less than this where the powers are the same.
ROUNDING = 1e-9
PREFILL_METRICS = ("prefill_energy_j", "decode_energy_j", "energy_per_prompt_token_j")
TRACE_METRICS = ("prefill_energy_trace_j", "decode_energy_trace_j")
FROM_ENERGY = (
    "energy_per_output_token_j",
    "energy_per_request_j",
    "average_power_w",
    *BASELINE_METRICS,
    *PREFILL_METRICS,
    *TRACE_METRICS,
)


@dataclass(frozen=True)
class Counts:
    """What energy is divided by. `prefill_` ones belong to the prefill-only window."""

    requests: int
    output_tokens: int
    prefill_requests: int
    prefill_prompt_tokens: int


@dataclass
class EnergyFigures:
    """metric → value, or None with its reason in `unknown`; metric → budget in the metric's unit; how phases agree."""

    source: str | None = None
    values: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(FROM_ENERGY))
    unknown: dict[str, str] = field(default_factory=dict)
    budget: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    phases: dict[str, Any] | None = None

    def put(self, metric: str, value: float, components: Sequence[Component], divisor: float) -> None:
        """A figure whose budget is that of an energy over `divisor`."""
        self.values[metric] = value
        if components:
            self.budget[metric] = scaled(components, divisor)

    def lack(self, metrics: Sequence[str], reason: str) -> None:
        self.unknown.update(dict.fromkeys(metrics, reason))


def energy_figures(
    entries: Sequence[LedgerEntry],
    counts: Counts,
    split: TraceSplit | None,
    no_split: str | None,
    doubt: PowerDoubt | None = None,
) -> EnergyFigures:
    """Everything that is computed from joules.

    entries: idle windows on both sides, the full window (`generate`) and the prefill-only one (`prefill`)
    split: the full window's trace by phase, or None for the reason `no_split`
    doubt: what the devices' temperature makes of their power, or None where it is not known
    """
    figures = EnergyFigures()
    full = _as_warm(primary_energy(entries, "generate"), doubt)
    if full.energy_j is None:
        figures.lack(FROM_ENERGY, full.reason or "no meter gave a figure")
        return figures
    figures.source = full.source
    energy_j = full.energy_j
    figures.put("energy_per_output_token_j", energy_j / counts.output_tokens, full.components, counts.output_tokens)
    figures.put("energy_per_request_j", energy_j / counts.requests, full.components, counts.requests)
    figures.put("average_power_w", energy_j / full.duration_s, full.components, full.duration_s)
    _add_net(figures, full, entries, counts)
    prefill = _as_warm(primary_energy(entries, "prefill"), doubt)
    if prefill.energy_j is None or prefill.source != full.source:
        because = prefill.reason or f"prefill energy comes from {prefill.source}, generation from {full.source}"
        figures.lack(PREFILL_METRICS, because)
    else:
        _add_prefill(figures, full, prefill, counts)
    if split is None:
        figures.lack(TRACE_METRICS, no_split or "the trace was not split")
    else:
        _add_split(figures, split, full, prefill, counts)
    return figures


def _as_warm(energy: PhaseEnergy, doubt: PowerDoubt | None) -> PhaseEnergy:
    """With what the temperature adds to the budget of a measured energy."""
    measured = energy.source is not None and energy.source.startswith(MEASURED)
    if doubt is None or not measured or not energy.components:
        return energy
    return replace(energy, components=(*energy.components, doubt.over(energy.duration_s)))


def negative_energy(figures: EnergyFigures) -> list[Finding]:
    """Energy below zero, which cannot be: two windows whose difference it is saw something else than was meant."""
    value = figures.values

    def below_zero(metric: str) -> bool:
        figure = value[metric]
        return figure is not None and figure < 0

    findings = []
    if below_zero("net_energy_per_request_j"):
        message = (
            f"net energy is {value['net_energy_per_request_j']:.3g} J per request: {value['average_power_w']:.4g} W in "
            f"the window, {value['baseline_power_w']:.4g} W idle beside it"
        )
        findings.append(Finding("net-energy-negative", message))
    if below_zero("decode_energy_j"):
        message = (
            f"decode energy is {value['decode_energy_j']:.3g} J per request: {value['energy_per_request_j']:.4g} J in "
            f"the full window, {value['prefill_energy_j']:.4g} J in the prefill-only window"
        )
        findings.append(Finding("decode-energy-negative", message))
    whole = f"J per request of {value['energy_per_request_j'] or 0.0:.4g} J in all, by the trace"
    if below_zero("decode_energy_trace_j"):
        message = f"decode energy is {value['decode_energy_trace_j']:.3g} {whole}"
        findings.append(Finding("decode-energy-negative", message))
    if below_zero("prefill_energy_trace_j"):
        message = f"prefill energy is {value['prefill_energy_trace_j']:.3g} {whole}"
        findings.append(Finding("prefill-energy-negative", message))
    return findings


def _add_net(figures: EnergyFigures, full: PhaseEnergy, entries: Sequence[LedgerEntry], counts: Counts) -> None:
    window = next(entry for entry in entries if entry.phase == "generate")
    baseline, why = baseline_under(entries, window.start_monotonic_s, window.end_monotonic_s, full.source)
    if baseline is None:
        figures.lack(BASELINE_METRICS, why or "no idle power was measured")
        return
    assert full.energy_j is not None
    net_j = full.energy_j - baseline.energy_j
    own = [*baseline.components, *_shared_gain(full, baseline)] if full.components else []
    figures.put("baseline_power_w", baseline.power_w, own, full.duration_s)
    if abs(net_j) <= ROUNDING * full.energy_j:
        figures.lack(OF_TWO_POWERS, ONE_POWER)
        return
    components = net_components(full, baseline) if full.components else []
    figures.put("net_energy_per_output_token_j", net_j / counts.output_tokens, components, counts.output_tokens)
    figures.put("net_energy_per_request_j", net_j / counts.requests, components, counts.requests)
    figures.values["baseline_share"] = baseline.energy_j / full.energy_j


def _shared_gain(full: PhaseEnergy, baseline: Baseline) -> list[Component]:
    assert full.energy_j
    share = baseline.energy_j / full.energy_j
    gains = [component for component in full.components if component.kind == "gain"]
    return [replace(component, standard_j=component.standard_j * share) for component in gains]


def _add_prefill(figures: EnergyFigures, full: PhaseEnergy, prefill: PhaseEnergy, counts: Counts) -> None:
    assert full.energy_j is not None and prefill.energy_j is not None
    prefill_j = prefill.energy_j / counts.prefill_requests
    request_j = full.energy_j / counts.requests
    decode_j = request_j - prefill_j
    figures.put("prefill_energy_j", prefill_j, prefill.components, counts.prefill_requests)
    figures.put(
        "energy_per_prompt_token_j",
        prefill.energy_j / counts.prefill_prompt_tokens,
        prefill.components,
        counts.prefill_prompt_tokens,
    )
    components: list[Component] = []
    if full.components and prefill.components:
        components = difference(
            _per(full.components, counts.requests),
            _per(prefill.components, counts.prefill_requests),
            abs(decode_j) / request_j,
        )
    figures.put("decode_energy_j", decode_j, components, 1.0)


def _add_split(
    figures: EnergyFigures, split: TraceSplit, full: PhaseEnergy, prefill: PhaseEnergy, counts: Counts
) -> None:
    assert full.energy_j
    prefill_j = split.prefill.energy_j / counts.requests
    # The regression's own energies do not add up to the window's to the last digit; the window's is the better figure.
    decode_j = full.energy_j / counts.requests - prefill_j
    shared = [component for component in full.components if component.kind in SHARED]
    for metric, value, part in (
        ("prefill_energy_trace_j", prefill_j, split.prefill),
        ("decode_energy_trace_j", decode_j, split.decode),
    ):
        share = abs(value) * counts.requests / full.energy_j
        own = [replace(component, standard_j=component.standard_j * share) for component in shared]
        figures.put(
            metric, value, [Component("split of the trace by phase", part.standard_j, "rate"), *own], counts.requests
        )
    if prefill.energy_j is None or prefill.source != full.source:
        return
    random_j = math.hypot(*(item.standard_j for item in prefill.components if item.kind not in SHARED))
    by_window = Part(prefill.energy_j / counts.prefill_requests, random_j / counts.prefill_requests)
    by_trace = Part(prefill_j, split.prefill.standard_j / counts.requests)
    figures.phases = {
        "prefill_window_j": by_window.energy_j,
        "prefill_trace_j": by_trace.energy_j,
        **agreement(by_window, by_trace),
    }


def _per(components: Sequence[Component], divisor: float) -> list[Component]:
    return [replace(component, standard_j=component.standard_j / divisor) for component in components]
