"""The plan as it was carried out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

from llenergymeasure.records.interim import InterimAnalysis
from llenergymeasure.records.plan import Plan
from llenergymeasure.results.statistics.estimates import CONFIDENCE


@dataclass(frozen=True)
class MeasuredPlan(Plan):
    """`replicates` is how many were measured; `interim` the analysis that ended the study, None where their number was
    fixed.
    """

    interim: InterimAnalysis | None = None

    @classmethod
    def after(cls, plan: Plan, replicates: int | None = None, interim: InterimAnalysis | None = None) -> Self:
        """replicates: None where the plan's number was measured"""
        drawn = cls(**{item.name: getattr(plan, item.name) for item in fields(plan)})
        return replace(drawn, replicates=plan.replicates if replicates is None else replicates, interim=interim)

    @property
    def nominal_level(self) -> float:
        """Of each interval, so that those of all interim analyses together hold 95 %."""
        return CONFIDENCE if self.interim is None else self.interim.nominal_level
