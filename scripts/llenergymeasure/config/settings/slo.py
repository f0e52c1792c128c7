"""The service-level objective: how long a request may take to count as served."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from llenergymeasure.config.settings.base import Config


class SloConfig(Config):
    """Applied to the measured requests; a change does not trigger new measurements. A limit that is not set holds for
    every request."""

    ttft_s: Annotated[float | None, Field(gt=0.0)] = None
    """The most seconds from submission to the first token. All prompts of a pass are submitted when it begins, so
    queueing behind earlier batches counts."""

    tpot_s: Annotated[float | None, Field(gt=0.0)] = None
    """The most seconds per output token after the first, as the mean over the gaps of a request."""

    @property
    def limits(self) -> dict[str, float]:
        """Latency → limit in seconds, of those that are set."""
        return {name: limit for name in type(self).model_fields if (limit := getattr(self, name)) is not None}
