"""What other programs on the host can have changed in a window: its energy, or the time of its threads.

Each is a share, so that the same limit holds for two cores and for two hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llenergymeasure.energy.ledger import ESTIMATED, MEASURED, NO_SOURCE, LedgerEntry

# The process that drives a GPU needs one core: where others leave that much of ours free, they do not slow it down.
NEEDED_CORES = 1.0


@dataclass(frozen=True)
class HostLoad:
    """Mean numbers of cores over a window.

    foreign, own: kept busy by other programs, and by this measurement
    machine_cores, usable_cores: how many there are, and how many this process may use
    foreign_here, usable_busy: of the usable ones, kept busy by others and by anybody
    stolen: taken away by a hypervisor
    waiting: threads of this measurement that were ready to run without a core; None where the kernel does not count it
    noise: a foreign load below this is within the resolution of the kernel's ticks
    """

    foreign: float
    own: float
    machine_cores: int
    usable_cores: int
    foreign_here: float
    usable_busy: float
    stolen: float
    waiting: float | None
    noise: float


def energy_share(load: HostLoad, entries: Sequence[LedgerEntry]) -> float:
    """About which share of the window's energy other programs took.

    A package that does nothing draws about half of what it draws at full load (Barroso and Hölzle, "The Case for
    Energy-Proportional Computing", IEEE Computer 40(12), 2007). With B of N cores busy it draws (1 + B/N)/2 of that, so
    F busy cores of other programs take F/(N + B) of its energy.
    """
    if load.foreign <= load.noise:
        return 0.0
    busy = load.foreign + load.own
    return host_share(entries) * load.foreign / (load.machine_cores + busy)


def time_share(load: HostLoad) -> float:
    """Which share of their time other programs kept the threads of this measurement waiting.

    At least the time of one core is looked at: threads that sleep are not held up.
    """
    if load.foreign_here <= load.noise:
        return 0.0
    if load.waiting is not None:
        return load.waiting / max(load.own + load.waiting, NEEDED_CORES)
    # Not counted here: who finds a core free does not wait.
    if load.usable_cores - load.usable_busy >= NEEDED_CORES:
        return 0.0
    return load.foreign_here / load.usable_cores


def stolen_share(load: HostLoad) -> float:
    """Which share of the time in which this machine wanted to run a hypervisor gave to other machines."""
    wanted = load.foreign + load.own + load.stolen
    return load.stolen / max(wanted, NEEDED_CORES)


def host_share(entries: Sequence[LedgerEntry]) -> float:
    """Which share of the window's energy is that of the host; 1 where it does the work, because no GPU does.

    What others do on the host is not in the energy of a GPU's board; it can only slow down what drives the board.
    """
    if not any(entry.domain == "gpu" for entry in entries):
        return 1.0
    if any(entry.source == NO_SOURCE for entry in entries):
        return 0.0
    for family in (MEASURED, ESTIMATED):
        chosen = [entry for entry in entries if entry.source.startswith(family)]
        of_host = [entry.energy_j for entry in chosen if entry.domain != "gpu"]
        if not chosen:
            continue
        energies = [entry.energy_j for entry in chosen]
        if not of_host or None in energies:
            return float(bool(of_host))
        total_j = sum(energy_j or 0.0 for energy_j in energies)
        return sum(energy_j or 0.0 for energy_j in of_host) / total_j if total_j > 0 else 1.0
    return 0.0
