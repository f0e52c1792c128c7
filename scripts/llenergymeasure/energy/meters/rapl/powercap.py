"""The energy counters of Linux's powercap tree: RAPL zones, what they cover, and reading them.

A zone is a folder `intel-rapl:<package>` or `intel-rapl:<package>:<part>` (on AMD too, the kernel kept the name) with
`name`, `energy_uj` and `max_energy_range_uj` in microjoules, after which `energy_uj` starts again from 0
(Documentation/power/powercap/powercap.rst).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

# `intel-rapl-mmio:*` shows the same packages a second time, through another register.
PATTERN = "intel-rapl:*"
PSYS = "psys"
DIGITS = 64


@dataclass(frozen=True)
class Zone:
    """One counter. `device` is the package it belongs to; `domain` is `cpu`, `dram`, or `psys` for the platform."""

    device: str
    domain: str
    counter: Path
    range_uj: int

    @property
    def label(self) -> str:
        return f"{self.device} {self.domain}"

    def read_uj(self) -> int:
        """The counter in microjoules. OSError or ValueError where it cannot be read."""
        # Opened each time: a zone that is gone, or closed to us, then says so. Without Path and buffers, which would
        # cost more than the reading.
        descriptor = os.open(self.counter, os.O_RDONLY)
        try:
            return int(os.read(descriptor, DIGITS))
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class Zones:
    """The zones that can be read, and those that cannot: (device, reason)."""

    readable: list[Zone]
    refused: list[tuple[str, str]]


def find_zones(root: Path, covered_domains: Collection[str]) -> Zones:
    """Packages, their DRAM, and the platform; not the cores and the graphics, which are parts of a package.

    covered_domains: `cpu` or `dram` where another meter has them already
    """
    zones = Zones([], [])
    folders = sorted(root.glob(PATTERN)) if root.is_dir() else []
    names = {folder.name: _text(folder / "name") for folder in folders}
    for folder in folders:
        name = names[folder.name]
        if name is None:
            zones.refused.append((folder.name, f"{folder}/name cannot be read (container runtimes hide these files)"))
            continue
        device, domain = _what(folder.name, name, names)
        if domain is None or domain in covered_domains:
            continue
        try:
            zone = Zone(device, domain, folder / "energy_uj", int((folder / "max_energy_range_uj").read_text()))
            zone.read_uj()
            zones.readable.append(zone)
        except (OSError, ValueError) as error:
            zones.refused.append((f"{device} {domain}", why_unreadable(error)))
    return zones


def why_unreadable(error: Exception) -> str:
    """One line on a counter that cannot be read, and for a lack of rights what gives them."""
    if isinstance(error, PermissionError):
        return (
            f"{error.filename} may be read by root only (Linux 5.10 and newer, against CVE-2020-8694); until the next "
            "boot `sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj` opens it, for good the udev rule "
            '`SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", RUN+="/bin/chmod a+r /sys%p/energy_uj"`'
        )
    return f"{type(error).__name__}: {error}"


def _what(folder: str, name: str, names: dict[str, str | None]) -> tuple[str, str | None]:
    """Device and domain of a zone; None for a part of another zone."""
    if name == PSYS:
        return name, PSYS
    if name.startswith("package"):
        return name, "cpu"
    if name == "dram":
        # intel-rapl:0:1 is a part of intel-rapl:0, which has the package's name.
        return names.get(folder.rpartition(":")[0]) or folder, "dram"
    return name, None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
