"""The catalogue of meters: what a study may name in `energy.meters`, and where each meter's figures come from.

A new meter is one file in energy/meters/ and one entry here. From the entry follow the type of `energy.meters`, the
rules about it, the JSON schema, the tables of config/README.md and of docs/energy.md, and what is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Where a device's name in the ledger is the only one: a UUID in the world, `package-0` on its machine. An estimate
# reads no device: it is the same for all machines with that model of processor.
Scope = Literal["world", "machine", "model"]


@dataclass(frozen=True)
class Source:
    """Where a figure comes from. `name` is what the ledger and the tables call it: `measured:…` or `estimated:…`."""

    name: str
    covers: str
    how: str
    names_are_of: Scope = "machine"


@dataclass(frozen=True)
class MeterEntry:
    """One meter.

    opened_by: `module:function`, imported only where the meter is opened. The function takes a MeterContext and returns
        a Meter, or raises MeterUnavailable where the meter does not work
    at_intervals: it is read every `energy.power_interval_s` seconds in a window, not only at the edges
    needs: for a meter that is opened only where a study names it: what must be installed first, as Markdown
    begun_by: `module:function` that begins the slow part of opening it; the function takes nothing and returns at once
    """

    name: str
    opened_by: str
    covers: str
    sources: tuple[Source, ...]
    at_intervals: bool
    needs: str | None = None
    begun_by: str | None = None


_HERE = "llenergymeasure.energy.meters"

# In the order in which they are opened and in which a window starts them: a meter whose counter ticks comes first,
# because the window starts at its tick. Measuring comes before estimating, because it covers a domain first.
_ENTRIES = (
    MeterEntry(
        "nvml",
        f"{_HERE}.nvml.opening:open_nvml",
        "NVIDIA GPUs",
        (
            Source(
                "measured:nvml-total-energy",
                "the board of one NVIDIA GPU",
                "its energy counter, interpolated between ticks",
                "world",
            ),
            Source(
                "measured:nvml-power",
                "the same, where there is no counter",
                "power readings integrated, their averaging time corrected for",
                "world",
            ),
        ),
        at_intervals=True,
    ),
    MeterEntry(
        "rapl",
        f"{_HERE}.rapl.meter:open_rapl",
        "CPU packages and their memory",
        (Source("measured:rapl", "a CPU package or its DRAM, all processes", "the powercap counters"),),
        at_intervals=True,
    ),
    MeterEntry(
        "zeus",
        f"{_HERE}.zeus:open_zeus",
        "AMD GPUs, Jetson, and other devices that Zeus reads and no meter above does",
        (
            Source(
                "measured:zeus",
                "whole devices that Zeus reads and no other meter does (AMD GPUs, Jetson), only where a study names it",
                "their counters, interpolated between ticks; read in a thread, because no other process can open them",
            ),
        ),
        at_intervals=True,
        needs="`python -m pip install zeus`",
    ),
    MeterEntry(
        "codecarbon",
        f"{_HERE}.codecarbon:open_codecarbon",
        "CPU and RAM that no meter above measures: an estimate",
        (
            Source(
                "estimated:codecarbon",
                "CPU and RAM of the machine",
                "codecarbon's model: an estimate, marked as one everywhere",
                "model",
            ),
        ),
        at_intervals=False,
        begun_by=f"{_HERE}.codecarbon:detect_ahead",
    ),
)

METERS: dict[str, MeterEntry] = {entry.name: entry for entry in _ENTRIES}

_SCOPES = {source.name: source.names_are_of for entry in _ENTRIES for source in entry.sources}


def device_names_are_of(source: str) -> Scope:
    """In what the names of a source's devices are the only ones; a machine, for a source that is not catalogued."""
    return _SCOPES.get(source, "machine")


def opened_only_when_named() -> list[str]:
    """The meters that a study must name: what they need is not installed with this package."""
    return [entry.name for entry in METERS.values() if entry.needs is not None]


def read_at_intervals() -> list[str]:
    """The meters for which `energy.power_interval_s` makes a difference."""
    return [entry.name for entry in METERS.values() if entry.at_intervals]
