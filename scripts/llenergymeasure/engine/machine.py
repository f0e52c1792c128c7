"""Whether this machine has what a parameter requires, and whether torch can use the machine's GPUs."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.devices import on_processor
from llenergymeasure.config.problems.catalogue import CUDA_UNUSABLE, REQUIREMENT_UNMET
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.settings.parameter import Requirement
from llenergymeasure.config.settings.registry import parameters, requested
from llenergymeasure.energy.meters.nvml.boards import look_at_boards
from llenergymeasure.engine.failure import ExperimentFailure, one_line
from llenergymeasure.engine.loading.compiler import compiler_lacks

# CUDA version of a build of torch → the oldest driver branch that runs it (CUDA Toolkit release notes, "CUDA Toolkit
# Driver Versions": drivers run every later minor version of the CUDA that came with them).
OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}


def missing(requirement: Requirement, value: Any) -> str | None:
    """What this machine lacks for that value of a parameter, in words; None where it has everything."""
    if requirement.package is not None and not _installed(requirement.package):
        return f"the package {requirement.package} is not installed here"
    if requirement.cuda_capability is not None:
        if not torch.cuda.is_available():
            return "there is no CUDA device here"
        best = max(torch.cuda.get_device_capability(index) for index in range(torch.cuda.device_count()))
        if best < requirement.cuda_capability:
            return f"the CUDA devices here have compute capability {best[0]}.{best[1]}"
    if requirement.as_many_devices and torch.cuda.device_count() < value:
        return f"there are {torch.cuda.device_count()} GPUs here"
    if requirement.compiler == "always" or (requirement.compiler and torch.cuda.is_available()):
        return compiler_lacks()
    return None


def unmet_requirements(config: ExperimentConfig) -> Iterator[Problem]:
    """A warning, not an error, for each setting that cannot work here: the machine that measures may be another one."""
    for path, value in requested(config).items():
        for requirement in parameters()[path].requires:
            lacking = missing(requirement, value) if requirement.concerns(value) else None
            if lacking is not None:
                yield REQUIREMENT_UNMET.problem(path, f"{show(value)}: {requirement.need()}, and {lacking}")


def unusable_cuda(config: ExperimentConfig) -> Iterator[Problem]:
    """An error where this machine has GPUs that torch cannot use, and the study does not ask for the processor."""
    reason = None if on_processor(vars(config.pytorch)) else why_no_cuda()
    if reason is not None:
        yield CUDA_UNUSABLE.problem("pytorch.device_map", reason)


def require_cuda(config: ExperimentConfig) -> None:
    """ExperimentFailure where the model would silently be measured on the processor of a machine that has GPUs."""
    reason = None if on_processor(vars(config.pytorch)) else why_no_cuda()
    if reason is not None:
        raise ExperimentFailure("load", "CudaUnusable", f"{reason}; {CUDA_UNUSABLE.fix}")


@cache
def why_no_cuda() -> str | None:
    """Why torch finds no GPU although NVML sees some; None where torch finds one, or where there is none to find."""
    boards = look_at_boards(os.environ)
    if boards is None or not boards.near or torch.cuda.is_available():
        return None
    there = f"NVML sees {len(boards.near)} GPUs (driver {boards.driver}) and torch {torch.__version__} sees none"
    if torch.version.cuda is None:
        return f"{there}: it is a build without CUDA"
    oldest = OLDEST_DRIVER.get(int(torch.version.cuda.split(".")[0]))
    branch = boards.driver.split(".")[0]
    if oldest is not None and branch.isdigit() and int(branch) < oldest:
        return f"{there}: it is built for CUDA {torch.version.cuda}, which needs driver {oldest} or newer"
    return f"{there}: it is built for CUDA {torch.version.cuda}{_error_of_torch()}"


def _error_of_torch() -> str:
    try:
        torch.cuda.init()
    except (AssertionError, RuntimeError) as error:
        return f", and says: {one_line(error)}"
    return ""


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        # `a`, the parent of `a.b`, is not installed.
        return False
