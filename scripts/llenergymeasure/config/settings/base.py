"""What all configuration models share: unknown keys are errors, types are strict, nothing changes afterwards.

The models under settings/ are shapes: each checks its own values. Whether settings fit together is up to rules/.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class InWords:
    """What a field with a pattern accepts, in words, inside its `Annotated`: for messages and pages."""

    text: str


class Config(BaseModel):
    """A frozen section of a study. Strict: `"8"` is not a number and `true` is not a count; no NaN, no infinity."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


Mapped = TypeVar("Mapped")


def plain_mapping(options: Mapped) -> Mapped:
    """Keywords that go to a library as they are written. ValueError where a value cannot be written to a plan."""
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"contains a value that is not plain YAML; {error}") from error
    return options
