"""The plan as it was carried out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

from llenergymeasure.records.study.interim import InterimAnalysis
from llenergymeasure.records.study.plan import Plan
from llenergymeasure.results.statistics.estimates import CONFIDENCE


@dataclass(frozen=True)
class MeasuredPlan(Plan):
    """The plan of a study that was measured.

    replicates: how many were measured
    interim: the analysis that ended the study; None where the number of replicates was fixed
    """

    interim: InterimAnalysis | None = None

    @classmethod
    def after(cls, plan: Plan, replicates: int | None = None, interim: InterimAnalysis | None = None) -> Self:
        """The plan after measuring; replicates: None where the plan's number was measured."""
        drawn = cls(**{item.name: getattr(plan, item.name) for item in fields(plan)})
        return replace(drawn, replicates=plan.replicates if replicates is None else replicates, interim=interim)

    @property
    def nominal_level(self) -> float:
        """The level of each interval, so that over all interim analyses they cover the true value in 95 %."""
        return CONFIDENCE if self.interim is None else self.interim.nominal_level
