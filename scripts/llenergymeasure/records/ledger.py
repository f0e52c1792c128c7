"""An entry of the ledger as it stands in a record: the energy of one domain of one device in one window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from llenergymeasure.records.record import CONFIG

# How a contribution grows with the length of a window: an edge not at all, a rate with its square root, a gain with
# the energy itself. Gains of one instrument are the same in all its windows; the others are new each time. A baseline
# is what is taken off, and grows with the time it is taken off for. A temperature is how far the devices may be from
# the study's, times what that changes in their power: it grows with the time, and all windows of a run share it.
Kind = Literal["edge", "rate", "gain", "baseline", "temperature"]
Distribution = Literal["normal", "rectangular"]


@dataclass(frozen=True)
class Component:
    """One contribution: what it is, in words with its numbers, and its standard uncertainty in joules."""

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    name: str
    standard_j: float
    kind: Kind
    distribution: Distribution = "normal"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Component:
        return cls(**record)


@dataclass(frozen=True)
class LedgerEntry:
    """Energy of one domain of one device in one window.

    `energy_j` is None exactly when `reason` says why; a missing reading never gives 0. `source` is
    `measured:<how>`, `estimated:<by what>`, or `none` where no meter covers the device. `standard_uncertainty_j` is
    one standard deviation, `expanded_uncertainty_j` the half width of the 95 % interval, both in joules, from
    `components`; `uncertainty_basis` says the same in words. Start and end are `time.perf_counter` seconds, the same
    for all entries of a window. `cross_check` holds what a second reading of the same device gave, where there is one:
    `source`, `energy_j`, `ratio` (this over the other) and `agrees`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    phase: str
    device: str
    domain: str
    energy_j: float | None
    duration_s: float
    source: str
    standard_uncertainty_j: float | None
    uncertainty_basis: str
    start_monotonic_s: float
    end_monotonic_s: float
    reason: str | None = None
    expanded_uncertainty_j: float | None = None
    components: tuple[Component, ...] = ()
    cross_check: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.energy_j is None) != (self.reason is not None):
            raise ValueError("a ledger entry has either energy_j or a reason why it has none")

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "components": [component.to_dict() for component in self.components]}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> LedgerEntry:
        """The entry from its dictionary in a record, as `to_dict` gives it."""
        components = tuple(Component.from_dict(component) for component in record["components"])
        return cls(**{**record, "components": components})
