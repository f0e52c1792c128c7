"""The parts of the acceptance, the most important first: what each takes on a board, and when it is killed.

Limits are judged by the first six and, for calls slower than they should be, by the sampler's cost. The times are
estimates; where a part needs less, the later ones get the rest, the evidence tests all that is left.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.schedule import Part

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / ".whl"
# The model library and what it cannot do without: carried in the locked versions, though the machine has its own.
LIBRARY = ("transformers-", "tokenizers-", "huggingface_hub-", "httpx2-", "httpcore2-", "truststore-")
# name, module, seconds expected on a board, limit
PARTS = (
    ("board", "probes.identity", 15, 180),
    ("environment", "probes.environment", 3, 30),
    ("nvml-calls", "probes.nvml_calls", 14, 45),
    ("counter-lag", "probes.counter_lag", 30, 60),
    ("window-lengths", "probes.window_lengths", 45, 90),
    ("decoding", "probes.decoding", 80, 150),
    ("study", "study_run", 250, 340),
    ("sampler-cost", "probes.sampler_cost", 35, 70),
    ("other-library", "probes.other_library", 15, 40),
    ("evidence", "evidence_tests", 30, 150),
)
INSTALL_S, INSTALL_LIMIT_S = 12.0, 60.0


def parts_of(folder: Path, carried: Sequence[Path], *, rehearsal: bool) -> list[Part]:
    """What runs, in order: the carried wheels are installed into the folder first, if there are any."""
    library = [wheel for wheel in carried if wheel.name.startswith(LIBRARY)]
    others = [wheel for wheel in carried if wheel not in library]
    installs = [
        _install(f"install-{target}", folder / target, files)
        for target, files in (("packages", others), ("library", library))
        if files
    ]
    packages, locked = folder / "packages", folder / "library"
    found = list(installs)
    for name, module, expected_s, limit_s in PARTS:
        own = name == "other-library"
        if own and not library:
            continue  # there is only one
        command = [sys.executable, "-m", "benchmarks.gpu.child", module]
        path = (packages,) if own else (locked, packages)
        command += ["--rehearsal"] if rehearsal else []
        required = name == "board"
        enough = "board" if required else None  # a torch that is read from a cold disk may take its time
        found.append(Part(name, expected_s, limit_s, tuple(command), path, required, enough))
    return found


def _install(name: str, target: Path, wheels: list[Path]) -> Part:
    """By this Python's pip, into a folder of its own."""
    options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--target", str(target)]
    command = (sys.executable, "-m", "pip", "install", *options, *map(str, wheels))
    return Part(name, INSTALL_S / 2, INSTALL_LIMIT_S, command, required=True)
