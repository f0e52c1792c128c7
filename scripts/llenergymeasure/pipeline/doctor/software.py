"""Python, the packages, torch and what compiles."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from llenergymeasure.config.problems.catalogue import CUDA_UNUSABLE
from llenergymeasure.config.problems.text import counted, first_few, first_line
from llenergymeasure.engine.loading.compiler import compiler_lacks
from llenergymeasure.pipeline.doctor.configured import Configured
from llenergymeasure.pipeline.doctor.table import Row
from llenergymeasure.pipeline.provenance.environment import installed_packages
from llenergymeasure.pipeline.provenance.installed_lock import nearest_lock

_SHOWN_PACKAGES = 4


def software_rows(configured: Configured, root: Path, *, conda_measures: bool) -> Iterator[Row]:
    """conda_measures: jobs run in environments that Snakemake makes with conda, not in this one"""
    yield Row("Python", f"{platform.python_version()}, {sys.executable}")
    yield packages_row(root)
    yield torch_row(configured, conda_measures=conda_measures)
    yield compiler_row()


def packages_row(root: Path) -> Row:
    locked = nearest_lock(installed_packages(), root / "envs" / "locks")
    if locked is None:
        return Row("packages", f"{root}/envs/locks holds no lock", "warning", "use a whole clone of the repository")
    if not locked.different:
        return Row("packages", f"as in envs/locks/{locked.path.name}")
    names = [f"{name} {here} (lock: {version})" for name, (version, here) in locked.different.items()]
    return Row(
        "packages",
        f"{counted(len(names), 'package')} in another version than in envs/locks/{locked.path.name}: "
        f"{first_few(names, _SHOWN_PACKAGES)}",
        "warning",
        "results say so; for the versions that were tested, `make run` in a fresh clone installs the lock",
    )


def torch_row(configured: Configured, *, conda_measures: bool) -> Row:
    if importlib.util.find_spec("torch") is None:
        if conda_measures:
            return Row("torch", "not in this environment; conda's environment of the jobs has it")
        advice = "`make run` installs it; or let Snakemake make the environments with `--sdm conda` (docs/conda.md)"
        return Row("torch", "not installed in this environment", "problem", advice)
    try:
        import torch

        from llenergymeasure.engine.machine import why_no_cuda
    except (ImportError, OSError) as error:
        return Row("torch", f"cannot be imported: {first_line(error)}", "problem", "install it again: `make run`")
    built = "without CUDA" if torch.version.cuda is None else f"for CUDA {torch.version.cuda}"
    found = f"{torch.__version__}, built {built}"
    reason = why_no_cuda()
    if reason is not None:
        return Row("torch", reason, "problem" if configured.uses_gpus else "warning", CUDA_UNUSABLE.fix)
    if torch.cuda.is_available():
        return Row("torch", f"{found}; it can use {counted(torch.cuda.device_count(), 'GPU')}")
    return Row("torch", f"{found}; no GPU here, so models run on the processor")


def compiler_row() -> Row:
    lacking = compiler_lacks()
    if lacking is None:
        return Row("compiler", "a C compiler and Python.h are there")
    return Row(
        "compiler",
        lacking,
        "warning",
        "pytorch.torch_compile, and on a GPU static caches, need both: Debian and Ubuntu `apt-get install gcc "
        "python3-dev`",
    )
