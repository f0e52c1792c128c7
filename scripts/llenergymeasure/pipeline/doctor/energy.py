"""Which meters work here, by opening them as a worker does, and what they and the host say of one idle second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from llenergymeasure.config.problems.text import first_few
from llenergymeasure.energy import LedgerEntry, MeterSet, MeterUnavailable, Window, open_meters
from llenergymeasure.energy.clock import CLOCK
from llenergymeasure.energy.ledger import ESTIMATED, MEASURED
from llenergymeasure.pipeline.doctor.configured import Configured
from llenergymeasure.pipeline.doctor.table import Row
from llenergymeasure.records.findings import FINDINGS

WINDOW_S = 1.0
PHASE = "doctor"
_SHOWN_DEVICES = 8
_GPUS, _HOST = "energy of GPUs", "energy of the host"


def energy_rows(configured: Configured) -> Iterator[Row]:
    """Energy, what disturbs it, and the host's load."""
    try:
        meters = open_meters(configured.energy, foreign_load=configured.foreign_load)
    except MeterUnavailable as refusal:
        yield Row("energy", f"{refusal.meter}: {refusal.reason}", "problem", "change energy.meters of the study")
        return
    try:
        with meters.window(PHASE, lambda: None) as window:
            CLOCK.sleep(WINDOW_S)
        yield from _entries(window, meters)
        for message in meters.warnings:
            yield Row("meters", message["message"], "warning", FINDINGS[message["code"]].advice)
    finally:
        meters.close()
    yield from _host(window)


def _entries(window: Window, meters: MeterSet) -> Iterator[Row]:
    measured = any(entry.source.startswith(MEASURED) and entry.energy_j is not None for entry in window.entries)
    refusals = {refusal["meter"]: refusal["reason"] for refusal in meters.describe()["refused"] if "meter" in refusal}
    for (what, source), entries in groupby(sorted(window.entries, key=_account), key=_account):
        yield _energy(what, source, list(entries), refusals, measured=measured)


def _account(entry: LedgerEntry) -> tuple[str, str]:
    return _GPUS if entry.domain == "gpu" else _HOST, entry.source


def _energy(what: str, source: str, entries: list[LedgerEntry], refusals: dict[str, str], *, measured: bool) -> Row:
    unknown = [entry for entry in entries if entry.energy_j is None]
    if unknown:
        return Row(what, f"{source}: {unknown[0].device}: {unknown[0].reason}", "warning", _how_to_measure(refusals))
    watts = Counter(f"{entry.domain} {(entry.energy_j or 0.0) / entry.duration_s:.0f} W" for entry in entries)
    devices = [f"{count} × {text}" if count > 1 else text for text, count in watts.items()]
    found = f"{first_few(devices, _SHOWN_DEVICES)} in this second, {source}"
    if not source.startswith(ESTIMATED):
        return Row(what, found)
    if measured:
        return Row(what, f"{found}: in no sum with what is measured")
    return Row(what, f"{found}: joules of this machine are a guess", "warning", _how_to_measure(refusals))


def _how_to_measure(refusals: dict[str, str]) -> str:
    """Why RAPL does not work, with what gives the right to read it."""
    reason = refusals.get("rapl", "")
    remedy = f"RAPL: {reason}" if reason else "read the reason"
    return f"{remedy}; Zeus's daemon zeusd reads it for others too" if "read by root only" in reason else remedy


def _host(window: Window) -> Iterator[Row]:
    facts: dict[str, Any] = window.facts["host"]
    load = facts["foreign_cpu"]
    if load["cores"] is None:
        yield Row("load of the host", f"not known: {load['reason']}", "warning")
    else:
        found = (
            f"{load['usable_cores']} of {load['machine_cores']} cores usable; other programs keep "
            f"{load['cores']:.2f} busy"
        )
        disturbing = [finding for finding in window.findings if finding.code == "foreign-cpu-load"]
        advice = f"runs would be suspect: {disturbing[0].message}" if disturbing else ""
        yield Row("cores", found, "warning" if disturbing else "ok", advice)
    yield _governor(facts["governors"])
    for finding in window.findings:
        if finding.code not in ("foreign-cpu-load", "energy-missing"):
            yield Row(finding.code, finding.message, "warning", FINDINGS[finding.code].advice)


def _governor(governors: list[str] | str) -> Row:
    if isinstance(governors, str):
        return Row("governor", f"cannot be read: {governors}")
    if not governors:
        return Row("governor", "the kernel does not scale the clocks here, as in most virtual machines")
    if governors == ["performance"]:
        return Row("governor", "performance")
    advice = "clocks follow the load, which varies: `sudo cpupower frequency-set -g performance` for the whole study"
    return Row("governor", ", ".join(governors), "warning", advice)
