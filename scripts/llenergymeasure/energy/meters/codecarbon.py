"""Estimates for what nothing measures: CPU and RAM, by codecarbon's offline tracker.

Its tracker finds the hardware and the way to estimate it. Windows then ask the hardware objects directly,
once at the start and once at the end, for two reasons. The tracker's own tasks divide energy at the moments
its timer fires, so one and the same sleep gives different joules (in the CPU-load mode power goes with the
cube of the load, and load from before the window, such as the tracker's own start, leaks into its first
sample). And a timer is a thread that would run in the measured process; this way there is none.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from llenergymeasure.energy.ledger import Finished, LedgerEntry, Span
from llenergymeasure.energy.meter import MeterContext, MeterUnavailable
from llenergymeasure.energy.meters.codecarbon_log import LogCapture
from llenergymeasure.energy.uncertainty import Component, rectangular

SOURCE = "estimated:codecarbon"
HOST = "host"
JOULES_PER_KWH = 3.6e6

# How codecarbon 3.3 turns what it knows into CPU power (codecarbon/external/hardware.py), by its mode.
CPU_MODES = {
    "cpu_load": "{tdp:g} W × (0.1 + 0.9·L³) with L the load of the whole machine over exactly this window",
    "constant": "half of {tdp:g} W, whatever the CPU does",
    "intel_rapl": "RAPL counters, read by codecarbon",
}


@dataclass(frozen=True)
class _Detection:
    """The hardware objects of a tracker, what codecarbon logged meanwhile, and its own settings that are not used."""

    hardware: list[Any]
    capture: LogCapture
    foreign_settings: list[str]


_ahead: list[Future[_Detection]] = []


def detect_ahead() -> None:
    """Begin to look for hardware in a thread. It mostly waits for other programs: a second to spend on imports."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="codecarbon")
    _ahead.append(executor.submit(_detect))
    executor.shutdown(wait=False)


def open_codecarbon(context: MeterContext) -> CodecarbonMeter:
    """Start codecarbon: two seconds, less after `detect_ahead`. Writes no file, uses no network, knows no country.

    Raises:
        MeterUnavailable: codecarbon fails, or finds nothing to estimate.
    """
    detection = _ahead.pop().result() if _ahead else _detect()
    capture = detection.capture
    if detection.foreign_settings:
        context.warn(
            "codecarbon-settings-ignored",
            f"codecarbon settings from its files or CODECARBON_* are not used: {', '.join(detection.foreign_settings)}",
        )
    parts = {_domain(part): part for part in detection.hardware}
    for domain in context.covered_domains & set(parts):
        del parts[domain]
    if "gpu" in parts and "MIG-" in context.environment.get("CUDA_VISIBLE_DEVICES", ""):
        del parts["gpu"]
        context.warn("codecarbon-gpu-skipped", "codecarbon would report the whole board for a MIG instance")
    if not parts:
        capture.remove()
        raise MeterUnavailable("codecarbon", "it finds no hardware that is not covered already")
    for failure in capture.take_failures():
        context.warn("codecarbon-failed", failure)
    return CodecarbonMeter(parts, capture, context)


def _detect() -> _Detection:
    capture = LogCapture()
    capture.install()
    try:
        foreign, tracker = _tracker()
        tracker.get_detected_hardware()
        return _Detection(list(tracker._hardware), capture, foreign)
    except Exception as error:  # codecarbon raises whatever its platform code meets
        capture.remove()
        suppressed = "; ".join(capture.take_failures())
        raise MeterUnavailable("codecarbon", suppressed or f"{type(error).__name__}: {error}") from error


def _tracker() -> tuple[list[str], Any]:
    from codecarbon import OfflineEmissionsTracker
    from codecarbon.core.config import get_hierarchical_config

    foreign = sorted(set(get_hierarchical_config()) - {"log_level"})
    # Whatever those could set that reaches the hardware objects, opens files or talks to a network is stated here.
    return foreign, OfflineEmissionsTracker(
        tracking_mode="machine",
        force_cpu_power=None,
        force_ram_power=None,
        force_mode_cpu_load=False,
        rapl_include_dram=False,
        rapl_prefer_psys=False,
        gpu_ids=None,
        allow_multiple_runs=True,
        output_methods=[],
        output_dir=tempfile.gettempdir(),
        log_level="warning",
    )


def _domain(part: Any) -> str:
    """`cpu`, `dram` or `gpu`: Apple's and Raspberry's classes say it in `chip_part`, the others by name."""
    name = str(getattr(part, "chip_part", type(part).__name__)).lower()
    return "dram" if name == "ram" else name


class CodecarbonMeter:
    """Estimates per domain of the whole machine; every process on it counts."""

    name = "codecarbon"
    device_uuids: frozenset[str] = frozenset()

    def __init__(self, parts: dict[str, Any], capture: LogCapture, context: MeterContext) -> None:
        self._parts = parts
        self._capture = capture
        self._warn = context.warn
        self._begun: dict[str, str | None] = {}
        self._version = version("codecarbon")

    @property
    def domains(self) -> frozenset[str]:
        return frozenset(self._parts)

    def restrict(self, device_uuids: Collection[str]) -> None:
        if not device_uuids:
            self._parts.pop("gpu", None)

    @property
    def steady_s(self) -> float:
        return 0.0

    def prepare(self, phase: str) -> None:  # noqa: ARG002
        self._begun = {domain: self._failure(part.start) for domain, part in self._parts.items()}

    def begin(self, phase: str) -> None:
        """Nothing: what it estimates from began in `prepare`."""

    def end(self) -> None:
        """Nothing: its load covers the time from `prepare` to `finish`, its energy the seconds of the window."""

    def finish(self, span: Span) -> Finished:
        return Finished([self._entry(span, domain, part) for domain, part in self._parts.items()])

    def _entry(self, span: Span, domain: str, part: Any) -> LedgerEntry:
        kwh: list[float] = []
        reason = self._begun[domain] or self._failure(
            lambda: kwh.append(float(part.measure_power_and_energy(last_duration=span.duration_s)[1].kWh))
        )
        for failure in self._capture.take_failures():
            self._warn("codecarbon-failed", failure)
        if reason is None and not (kwh[0] > 0 and math.isfinite(kwh[0])):
            notes = "; ".join(self._capture.notes[-1:])
            reason = (
                f"codecarbon attributes nothing to this window of {span.duration_s:.3g} s ({notes or 'no message'})"
            )
        if reason is not None:
            return span.unknown(HOST, domain, SOURCE, reason)
        energy_j = kwh[0] * JOULES_PER_KWH
        basis = (
            f"codecarbon {self._version}, {self._how(domain, part)}; it publishes no bound, so the true value "
            "is taken as rectangular from 0 to twice the estimate (GUM 4.3.7): E/√3"
        )
        guess = Component(basis, rectangular(2 * energy_j), "gain", "rectangular")
        return span.known(HOST, domain, SOURCE, energy_j, [guess])

    @staticmethod
    def _failure(call: Callable[[], object]) -> str | None:
        try:
            call()
        except Exception as error:  # noqa: BLE001  its platform code raises what it meets
            return f"codecarbon failed: {type(error).__name__}: {error}"
        return None

    @staticmethod
    def _how(domain: str, part: Any) -> str:
        if domain == "dram":
            return "RAM: a constant for the installed memory, whatever it does"
        mode = getattr(part, "_mode", None)
        if domain == "cpu" and mode is not None:
            text = CPU_MODES.get(mode, "its own reading")
            return f"CPU mode {mode}: {text.format(tdp=part._tdp)}"
        return f"{domain}: {type(part).__name__}"

    def trace(self) -> list[dict[str, Any]]:
        return []

    def describe(self) -> dict[str, Any]:
        return {
            "meter": self.name,
            "library": f"codecarbon {self._version}",
            "devices": [
                {
                    "uuid": None,
                    "name": getattr(part, "_model", None) or type(part).__name__,
                    "domain": domain,
                    "how": self._how(domain, part),
                    "metered": True,
                }
                for domain, part in self._parts.items()
            ],
            "refused": [],
            "notes": list(dict.fromkeys(self._capture.notes)),
        }

    def close(self) -> None:
        self._capture.remove()
