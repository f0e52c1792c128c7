"""What a result was measured with: versions, machine, commit."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sysconfig
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from llenergymeasure.config.model_ref import normalised_distribution

PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "bitsandbytes",
    "peft",
    "optimum-quanto",
    "codecarbon",
    "nvidia-ml-py",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
    "numpy",
    "pandas",
    "pydantic",
    "snakemake",
)


@cache
def describe_environment(root: Path, lock: Path) -> dict[str, Any]:
    """Versions of everything that decides a figure; None where a thing isn't there.

    `root` is the pipeline's checkout, for its git commit; `lock` the models' lock file, for its SHA-256.
    """
    return {
        "fingerprint": fingerprint(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "system": platform.platform(),
        "cpu": _cpu_name(),
        "hostname": platform.node(),
        **commit_of(root),
        "models_lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None,
    }


@cache
def fingerprint() -> str:
    """One name for Python's version and every installed distribution's: SHA-256, first 16 digits.

    From the names of the metadata folders (PyPA, "Recording installed projects"), since to read them all takes long.
    """
    whole = "\n".join([platform.python_version(), platform.machine(), *sorted(_metadata_folders())])
    return hashlib.sha256(whole.encode("utf-8")).hexdigest()[:16]


def installed_packages() -> dict[str, str]:
    """Name, as the package index knows it, → version of every installed distribution."""
    found = {}
    for folder in sorted(_metadata_folders()):
        name, _, version = folder.removesuffix(".dist-info").rpartition("-")
        found[normalised_distribution(name)] = version
    return found


def commit_of(root: Path) -> dict[str, Any]:
    """git_commit and git_dirty of a checkout; None where there is none."""
    status = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {"git_commit": _git(root, "rev-parse", "HEAD"), "git_dirty": None if status is None else bool(status)}


def _metadata_folders() -> set[str]:
    # Not sys.path: Snakemake adds its own environment's packages behind those of the job's.
    places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return {entry.name for place in places for entry in Path(place).glob("*.dist-info")}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _git(root: Path, *arguments: str) -> str | None:
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
