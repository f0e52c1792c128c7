"""Which lock of envs/locks an environment was installed from, and which packages differ from it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure.config.settings.model_ref import normalised_distribution
from llenergymeasure.records.study.provenance import InstalledLock

# The locks that hold all that measuring needs.
LOCKS = ("cuda13", "cuda12", "cpu")
_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Locked:
    """The lock that fits an environment best.

    different: package → the version in the lock and the installed one; empty where the environment was installed from
        this lock and not changed since
    """

    path: Path
    sha256: str
    different: Mapping[str, tuple[str, str]]

    @property
    def record(self) -> InstalledLock:
        return InstalledLock(name=self.path.name, sha256=self.sha256, different=dict(self.different))


def nearest_lock(packages: Mapping[str, str], folder: Path) -> Locked | None:
    """The lock in `folder` with the fewest packages in another version; None where there is none.

    A package of the lock that is not installed does not count: most locks name some for other systems.
    """
    locks = [_compared(packages, path) for name in LOCKS if (path := folder / f"{name}.txt").is_file()]
    return min(locks, key=lambda lock: len(lock.different), default=None)


def _compared(packages: Mapping[str, str], path: Path) -> Locked:
    content = path.read_bytes()
    pinned = {normalised_distribution(name): version for name, version in _PINNED.findall(content.decode("utf-8"))}
    different = {
        name: (version, packages[name])
        for name, version in pinned.items()
        if name in packages and packages[name] != version
    }
    return Locked(path, hashlib.sha256(content).hexdigest(), different)
