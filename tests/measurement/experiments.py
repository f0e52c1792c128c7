"""Experiments for a worker that is asked directly."""

from __future__ import annotations

from typing import Any

from harness import QUICK

from llenergymeasure.config import ExperimentConfig


def config(**changes: Any) -> dict[str, Any]:
    return ExperimentConfig.model_validate({**QUICK["defaults"], **changes}).model_dump(mode="json")
