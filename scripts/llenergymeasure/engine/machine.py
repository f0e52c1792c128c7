"""Whether this machine has what a parameter asks for."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import torch

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.checks import REQUIREMENT_UNMET
from llenergymeasure.config.declare import Requirement
from llenergymeasure.config.errors import Problem, show
from llenergymeasure.config.parameters import parameters, requested


def missing(requirement: Requirement) -> str | None:
    """What this machine lacks for it, in words; None where it has everything."""
    if requirement.package is not None and not _installed(requirement.package):
        return f"the package {requirement.package} is not installed here"
    if requirement.cuda_capability is not None:
        if not torch.cuda.is_available():
            return "there is no CUDA device here"
        best = max(torch.cuda.get_device_capability(index) for index in range(torch.cuda.device_count()))
        if best < requirement.cuda_capability:
            return f"the CUDA devices here have compute capability {best[0]}.{best[1]}"
    if torch.cuda.device_count() < requirement.devices:
        return f"there are {torch.cuda.device_count()} accelerators here"
    return None


def unmet_requirements(config: ExperimentConfig) -> Iterator[Problem]:
    """A warning for each setting that can't work on this machine: the machine that measures may be another."""
    for path, value in requested(config).items():
        for requirement in parameters()[path].requires:
            lacking = missing(requirement) if requirement.concerns(value) else None
            if lacking is not None:
                yield REQUIREMENT_UNMET.problem(path, f"{show(value)}: {requirement.need()}, and {lacking}")


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        # Of `a.b` there is not even `a`.
        return False
