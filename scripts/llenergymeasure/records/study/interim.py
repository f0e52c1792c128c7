"""interim/<replicates>.json: the precision of a figure after this many replicates, and whether the study continues."""

from __future__ import annotations

from typing import Literal

from llenergymeasure.records.record import Record
from llenergymeasure.records.schema import SchemaVersion

Ended = Literal["precise", "max_replicates", "budget", "nothing", "estimate"]


class InterimEstimate(Record):
    """One experiment's figure; half width of its interval over the mean. None where there is none."""

    experiment_id: str
    n: int
    mean: float | None
    relative_half_width: float | None


class InterimAnalysis(Record):
    """`reason` is why the study ends here, None where it goes on.

    nominal_level: of each interval, so that all analyses together keep 95 %
    widest: largest relative half width over experiments, None where one is unknown
    replicate_s: seconds that a replicate of the whole study takes
    """

    schema_version: SchemaVersion
    replicates: int
    metric: str
    target_relative_ci: float
    nominal_level: float
    widest: float | None
    experiments: tuple[InterimEstimate, ...]
    replicate_s: float
    done: bool
    reason: Ended | None
