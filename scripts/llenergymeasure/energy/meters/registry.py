"""The meters there are. A new meter is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable

from llenergymeasure.energy.meter import Meter, MeterContext
from llenergymeasure.energy.meters.codecarbon import open_codecarbon
from llenergymeasure.energy.meters.nvml.opening import open_nvml
from llenergymeasure.energy.meters.rapl.meter import open_rapl
from llenergymeasure.energy.meters.zeus import open_zeus

# In the order in which they are opened and in which a window starts them: a meter whose counter ticks comes
# first, because the window starts at its tick, and measuring comes before estimating, because it covers a
# domain first.
METERS: dict[str, Callable[[MeterContext], Meter]] = {
    "nvml": open_nvml,
    "rapl": open_rapl,
    "zeus": open_zeus,
    "codecarbon": open_codecarbon,
}
# Never opened unasked: what it needs is not installed with us.
ONLY_WHEN_NAMED = frozenset({"zeus"})
