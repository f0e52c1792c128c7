"""Priorities of jobs: of those that could start, Snakemake's scheduler starts the one with the highest number."""

from __future__ import annotations

from collections.abc import Mapping

from llenergymeasure.pipeline.plan.plan_index import PlanIndex


class Priorities:
    """Every stage comes before the next one, so that mistakes show early; the plan's order is followed in measuring."""

    def __init__(self, index: PlanIndex) -> None:
        jobs = len(index.order)
        self._index = index
        self._jobs = jobs
        self.validate = 4 * jobs
        self.model = self.prompts = 3 * jobs
        self.quantize = 2 * jobs + 1
        self.load = 2 * jobs
        self.warmup = jobs + 1

    def measure(self, wildcards: Mapping[str, str]) -> int:
        """The number of jobs for the first in the plan's order, down to 1 for the last."""
        return self._jobs - self._index.position(wildcards["session_id"], int(wildcards["replicate"]))
