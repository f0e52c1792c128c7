"""What every meter is: the one narrow interface, and the error of a meter that cannot work here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from llenergymeasure.energy.clock import Clock
from llenergymeasure.energy.ledger import Finished, LedgerEntry, Span

Warn = Callable[[str, str], None]  # (code, message)


class MeterUnavailable(Exception):
    """A meter cannot work on this machine; `reason` is one line."""

    def __init__(self, meter: str, reason: str) -> None:
        super().__init__(
            f"energy.meters: {meter} cannot work here: {reason}; remove it from energy.meters, "
            "or do not set energy.meters, to use every meter that works"
        )
        self.meter = meter
        self.reason = reason


@dataclass(frozen=True)
class MeterContext:
    """What a meter is given when it is opened."""

    environment: Mapping[str, str]
    power_interval_s: float
    clock: Clock
    covered_domains: frozenset[str]
    """Domains that a meter opened before already covers; they must not be counted twice."""
    warn: Warn


class Watcher(Protocol):
    """Looks at the machine while a window is open. Its failures are findings or facts; it never raises."""

    def begin(self, phase: str) -> None:
        """A window is about to open."""
        ...

    def end(self) -> None:
        """The window has just closed."""
        ...

    def finish(self, span: Span, entries: Sequence[LedgerEntry]) -> Finished:
        """What it observed; `entries` is what the meters reported of the window."""
        ...


class Meter(Protocol):
    """A source of energy figures. All slow work is done when it is opened, outside every window.

    A meter turns its own failures into entries without energy and with a reason; it never raises in a window.
    """

    name: str

    @property
    def domains(self) -> frozenset[str]:
        """What it covers now: `gpu`, `cpu`, `dram`."""
        ...

    @property
    def device_uuids(self) -> frozenset[str]:
        """Devices that `restrict` may name; empty for a meter that cannot tell devices apart."""
        ...

    def restrict(self, device_uuids: Collection[str]) -> None:
        """From the next window on, count only these accelerators."""
        ...

    @property
    def steady_s(self) -> float:
        """Seconds that the work of a window should run before it opens and after it closes; 0: makes no difference."""
        ...

    def prepare(self, phase: str) -> None:
        """Do everything slow before a window; what is to be the same at both edges runs after it."""
        ...

    def begin(self, phase: str) -> None:
        """The window opens now: take the start readings at once."""
        ...

    def end(self) -> None:
        """Take the end readings at once: the other meters' turn comes after it."""
        ...

    def finish(self, span: Span) -> Finished:
        """Work out the window's entries. It may wait for what comes after the window, such as the next tick."""
        ...

    def trace(self) -> list[dict[str, Any]]:
        """Power samples taken in windows since the last call."""
        ...

    def describe(self) -> dict[str, Any]:
        """How it measures, for the record: `meter`, `devices`, `refused`, and what else matters."""
        ...

    def close(self) -> None:
        """Give everything back; a second call does nothing."""
        ...


@runtime_checkable
class Thermometer(Protocol):
    """A meter that also knows how warm its devices are."""

    def temperatures_c(self) -> dict[str, float]:
        """Temperature in °C by UUID, of the devices that report it."""
        ...
