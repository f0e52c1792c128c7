"""What the library only logs about a load: it draws parameters at random that are in no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from llenergymeasure.config.problems.text import counted, first_few
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.records.finding import warning

Tensors = Iterable[tuple[str, Mapping[str, Any]]]
"""Name and header entry of each tensor in the files, as `stored_tensors` gives them."""


# How safetensors names the types of quantized weights.
_CODES = ("I", "U", "F8", "F6", "F4")


def check_report(report: Mapping[str, Any], *, owner: str, files: str) -> list[dict[str, str]]:
    """A warning for tensors of the files that the model does not have.

    report: `missing_keys`, `mismatched_keys` and `unexpected_keys`, as the library's `output_loading_info` gives them;
    tied weights and what an architecture declares as computed are not in it
    owner, files: whose parameters they are and where they should be, such as "the model" and "its files"

    ExperimentFailure where parameters are missing or have another shape: the library would draw them at random.
    """
    missing, mismatched = sorted(report["missing_keys"]), sorted(report["mismatched_keys"])
    if missing:
        raise ExperimentFailure(
            "load",
            "MissingWeights",
            f"{_parameters(missing)} of {owner} {_are(missing)} not in {files} and would be drawn at random: "
            f"{first_few(missing)}; use files that are complete and made for this architecture",
        )
    if mismatched:
        shapes = [f"{name} is {tuple(held)} there, {tuple(wanted)} in the model" for name, held, wanted in mismatched]
        raise ExperimentFailure(
            "load",
            "MismatchedWeights",
            f"{_parameters(mismatched)} of {owner} {_are(mismatched)} of another shape in {files}: "
            f"{first_few(shapes)}; make config.json and weights agree",
        )
    unexpected = sorted(report["unexpected_keys"])
    if not unexpected:
        return []
    message = f"{files} hold {_count(unexpected, 'tensor')} that {owner} does not use: {first_few(unexpected)}"
    return [warning("weights-unexpected", message)]


def check_formats(model: torch.nn.Module, tensors: Tensors) -> None:
    """ExperimentFailure where the files hold integers, or floats of 8 bits or fewer, for floating-point parameters.

    The library takes such numbers as they are: quantized weights would lose their scales. Only for checkpoints whose
    config.json names no quantization.
    """
    stored = {name: str(tensor["dtype"]) for name, tensor in tensors}
    wrong = [
        f"{name} ({stored[name]})"
        for name, parameter in model.named_parameters()
        if parameter.is_floating_point() and stored.get(name, "").startswith(_CODES)
    ]
    if wrong:
        raise ExperimentFailure(
            "load",
            "UnscaledWeights",
            f"{_parameters(wrong)} of the model {_are(wrong)} stored as {_kind(wrong)}: {first_few(wrong)}; they look "
            "quantized, but config.json has no quantization_config, so their scales would not be read; add it, or use "
            "the weights before quantization",
        )


def _kind(wrong: list[str]) -> str:
    return "floats of 8 bits or fewer" if "(F" in wrong[0] else "integers"


def _parameters(names: list[Any]) -> str:
    return _count(names, "parameter")


def _count(names: list[Any], noun: str) -> str:
    return counted(len(names), noun)


def _are(names: list[Any]) -> str:
    return "is" if len(names) == 1 else "are"
