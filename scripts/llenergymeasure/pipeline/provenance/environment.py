"""What a result was measured with: versions, machine, commit."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from llenergymeasure.config.problems.text import printable
from llenergymeasure.config.settings.model_ref import normalised_distribution
from llenergymeasure.pipeline.provenance.machine_id import machine_id

PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "bitsandbytes",
    "peft",
    "optimum-quanto",
    "torchao",
    "compressed-tensors",
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
    """Versions of everything that decides a figure; None where something is not installed.

    `root` is the pipeline's checkout, for its git commit; `lock` the models' lock file, for its SHA-256.
    """
    packages = installed_packages()
    return {
        "fingerprint": fingerprint(),
        "python": platform.python_version(),
        "packages": {name: packages.get(normalised_distribution(name)) for name in PACKAGES},
        "system": platform.platform(),
        "cpu": _cpu_name(),
        "hostname": platform.node(),
        "machine_id": machine_id(),
        **describe_commit(root),
        "models_lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None,
    }


@cache
def fingerprint() -> str:
    """One name for the versions of Python and of every installed distribution: SHA-256, first 16 digits.

    From the names of the metadata folders (PyPA, "Recording installed projects"), because reading them all takes long.
    """
    folders = sorted(metadata_folders(search_path()).values())
    whole = "\n".join([platform.python_version(), platform.machine(), *folders])
    return hashlib.sha256(whole.encode("utf-8")).hexdigest()[:16]


def installed_packages() -> dict[str, str]:
    """Name, as the package index knows it, → version of every distribution that a worker can import."""
    folders = metadata_folders(search_path())
    return {name: folder.removesuffix(".dist-info").rpartition("-")[2] for name, folder in sorted(folders.items())}


def metadata_folders(places: Sequence[str]) -> dict[str, str]:
    """Normalised name of a distribution → its metadata folder. Where there are several, the one that Python imports."""
    folders: dict[str, str] = {}
    for place in places:
        for entry in sorted(Path(place).glob("*.dist-info")):
            name = normalised_distribution(entry.name.removesuffix(".dist-info").rpartition("-")[0])
            folders.setdefault(name, entry.name)
    return folders


@cache
def search_path() -> tuple[str, ...]:
    """Where a worker finds what it imports, PYTHONPATH first. A new interpreter is asked.

    This process's own `sys.path` has Snakemake's packages behind those of the job.
    """
    command = [sys.executable, "-P", "-c", "import json, sys; json.dump(sys.path, sys.stdout)"]
    places: list[str] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return tuple(places)


def describe_commit(root: Path) -> dict[str, Any]:
    """git_commit and git_dirty of a checkout; None where there is none."""
    status = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {"git_commit": _git(root, "rev-parse", "HEAD"), "git_dirty": None if status is None else bool(status)}


def why_no_commit(root: Path) -> str | None:
    """Why git names no commit of a checkout, and what to do; None where it does, or where there is no checkout."""
    if not (root / ".git").exists():
        return None
    try:
        _run_git(root, "rev-parse", "HEAD")
    except OSError:
        return "git is not installed"
    except subprocess.CalledProcessError as error:
        if "dubious ownership" in error.stderr:
            return (
                f"{root} belongs to another user, so git does not read it; run "
                f"git config --global --add safe.directory {shlex.quote(str(root))}"
            )
        return f"git says: {printable(error.stderr)}"
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
        return _run_git(root, *arguments)
    except (OSError, subprocess.CalledProcessError):
        return None


def _run_git(root: Path, *arguments: str) -> str:
    # Messages in English: one of them is looked for.
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    return done.stdout.strip()
