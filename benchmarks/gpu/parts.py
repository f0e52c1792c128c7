"""The parts of the acceptance, the most important first: how long each takes on a board, and when it is killed.

Limits are judged by the study and those before it and, for calls slower than they should be, by the sampler's cost. The
times are those of an H100 whose host is slow (a decoding step of 16 layers takes 14 ms there), in November 2026; where
a part needs less, the later ones get the rest, the evidence tests all that is left.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.schedule import NOT_ASKED, Part, entry_without_figures

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / ".whl"
# The model library and what it cannot do without: carried in the locked versions, though the machine has its own.
LIBRARY = ("transformers-", "tokenizers-", "huggingface_hub-", "httpx2-", "httpcore2-", "truststore-")
# name, module, seconds expected on a board, limit
PARTS = (
    ("board", "probes.identity", 8, 180),
    ("environment", "probes.environment", 1, 30),
    ("nvml-calls", "probes.nvml_calls", 13, 45),
    ("counter-lag", "probes.counter_lag", 26, 60),
    ("window-lengths", "probes.window_lengths", 55, 90),
    ("decoding", "probes.decoding", 60, 120),
    ("study", "study_run", 310, 430),
    ("sampler-cost", "probes.sampler_cost", 55, 120),
    ("other-library", "probes.other_library", 27, 60),
    ("evidence", "evidence_tests", 30, 150),
)
INSTALL_S, INSTALL_LIMIT_S = 6.0, 60.0
# The part without which no other one is begun, and the one that needs a second model library.
BOARD_PART, OTHER_LIBRARY = "board", "other-library"


class NoSuchPart(ValueError):
    """A requested name is not a part of the acceptance; the message lists the parts."""


def part_names(text: str, carried: Sequence[Path]) -> list[str]:
    """The parts that `text` names, separated by commas, in the order in which they run; the board is always among them.

    Raises:
        NoSuchPart: one of the names is not a part, or cannot run without the carried wheels.
    """
    names = [name for name, *_ in PARTS]
    asked = [word.strip() for word in text.split(",")]
    unknown = [repr(word) for word in asked if word not in names]
    if unknown:
        raise NoSuchPart(f"--only: {', '.join(unknown)} is not a part; the parts are {', '.join(names)}")
    if OTHER_LIBRARY in asked and not _library(carried):
        raise NoSuchPart(f"--only: {OTHER_LIBRARY} needs the wheels that `make gpu-wheels` collects in {WHEELS.name}/")
    return [name for name in names if name == BOARD_PART or name in asked]


def not_asked_for(only: Sequence[str] | None) -> dict[str, dict[str, Any]]:
    """Entries of the document for the parts that are not in `only`."""
    return {name: entry_without_figures(NOT_ASKED, None) for name, *_ in PARTS if only is not None and name not in only}


def choose_parts(
    folder: Path, carried: Sequence[Path], *, rehearsal: bool, only: Sequence[str] | None = None
) -> list[Part]:
    """The parts that run, in order: the carried wheels are installed into the folder first, if there are any.

    only: names from `part_names`; None for all parts
    """
    library = _library(carried)
    others = [wheel for wheel in carried if wheel not in library]
    installs = [
        _install(f"install-{target}", folder / target, files)
        for target, files in (("packages", others), ("library", library))
        if files
    ]
    packages, locked = folder / "packages", folder / "library"
    parts = list(installs)
    for name, module, expected_s, limit_s in PARTS:
        own = name == OTHER_LIBRARY
        if own and not library:
            continue  # there is only one
        if only is not None and name not in only:
            continue
        command = [sys.executable, "-m", "benchmarks.gpu.child", module]
        path = (packages,) if own else (locked, packages)
        command += ["--rehearsal"] if rehearsal else []
        required = name == BOARD_PART
        enough = "board" if required else None  # a torch that is read from a cold disk may take its time
        parts.append(Part(name, expected_s, limit_s, tuple(command), path, required, enough))
    return parts


def _library(carried: Sequence[Path]) -> list[Path]:
    return [wheel for wheel in carried if wheel.name.startswith(LIBRARY)]


def _install(name: str, target: Path, wheels: list[Path]) -> Part:
    """By this Python's pip, into a folder of its own."""
    options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--target", str(target)]
    command = (sys.executable, "-m", "pip", "install", *options, *map(str, wheels))
    return Part(name, INSTALL_S / 2, INSTALL_LIMIT_S, command, required=True)
