"""Energy: meters, windows and the ledger. Nothing here knows torch; the caller passes a window its `synchronize`."""

from llenergymeasure.energy.ledger import Interval, LedgerEntry, PhaseEnergy, primary_energy
from llenergymeasure.energy.meter import MeterUnavailable
from llenergymeasure.energy.meter_set import WARM_UP, Around, MeterSet, Window, idle_power
from llenergymeasure.energy.meters.opening import no_meters, open_meters, prepare_meters

__all__ = [
    "WARM_UP",
    "Around",
    "Interval",
    "LedgerEntry",
    "MeterSet",
    "MeterUnavailable",
    "PhaseEnergy",
    "Window",
    "idle_power",
    "no_meters",
    "open_meters",
    "prepare_meters",
    "primary_energy",
]
