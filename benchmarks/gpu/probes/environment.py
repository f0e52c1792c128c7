"""The installed libraries, the tools that compiled experiments need, and the set-up of the board."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from importlib import metadata
from typing import Any

from benchmarks.gpu.scale import Scale, cuda_only
from benchmarks.gpu.wheels import LOCK, NAMES, carried
from llenergymeasure.engine.loading.compiler import python_header

COMPARED = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "bitsandbytes",
    "nvidia-ml-py",
    "snakemake",
    "pydantic",
)


def versions(scale: Scale) -> dict[str, Any]:  # noqa: ARG001
    """Imported and locked version of what figures depend on."""
    lock = LOCK.read_text(encoding="utf-8")
    table: dict[str, Any] = {"python": platform.python_version(), "kernel": platform.release()}
    for name in COMPARED:
        locked = re.search(rf"^{name}==([^\s;]+)", lock, re.MULTILINE)
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = None
        table[name] = {"imported": installed, "locked": locked[1] if locked else None}
    return table


def compiler(scale: Scale) -> dict[str, Any]:  # noqa: ARG001
    """Whether the tools exist that compiled experiments need: a C compiler and Python's headers."""
    header = python_header()
    return {"cc": shutil.which("cc") or shutil.which("gcc"), "python_h": str(header) if header.exists() else None}


def unmet(scale: Scale) -> list[str]:  # noqa: ARG001
    """What the carried packages require and this Python lacks, in the version that they require."""
    from packaging.requirements import Requirement

    lacking = []
    for name in carried(NAMES.read_text(encoding="utf-8")):
        try:
            required = [Requirement(text) for text in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            lacking.append(f"{name} itself")
            continue
        for requirement in required:
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            try:
                installed = metadata.version(requirement.name)
            except metadata.PackageNotFoundError:
                lacking.append(f"{name} needs {requirement.name}{requirement.specifier}")
                continue
            if not requirement.specifier.contains(installed, prereleases=True):
                lacking.append(f"{name} needs {requirement.name}{requirement.specifier}, not {installed}")
    return lacking


def smi(scale: Scale) -> list[str]:
    """The lines of `nvidia-smi -q` that say how the board is set up."""
    cuda_only(scale)
    done = subprocess.run(["nvidia-smi", "-q"], capture_output=True, text=True, timeout=15, check=True)
    wanted = re.compile(r"Power|Clocks|ECC|MIG|Temp|Slowdown|Product|Driver|CUDA|VBIOS|Graphics|SM |Memory  ")
    return [line.strip() for line in done.stdout.splitlines() if wanted.search(line) and ":" in line][:120]


QUESTIONS = {"versions": versions, "unmet": unmet, "compiler": compiler, "smi": smi}
