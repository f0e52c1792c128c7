"""What all configuration models share: unknown keys are errors, types are strict, nothing changes afterwards."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator

UNCHECKED = {"rules": False}
"""Validation context for callers that run the rules themselves, to collect every violation at once."""


class Config(BaseModel):
    """A frozen section of a study. Strict: `"8"` is no number and `true` is no count; NaN and infinity are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class RuledConfig(Config):
    """A section whose settings also have to fit together."""

    @model_validator(mode="after")
    def _keep_the_rules(self, info: ValidationInfo) -> Self:
        if info.context is not UNCHECKED:
            # The rules are derived from the models, so they can't be imported before the models exist.
            from llenergymeasure.config.rules.rules import refuse_violations

            refuse_violations(self)
        return self
