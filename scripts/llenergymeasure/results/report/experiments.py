"""One experiment as the report and the terminal summary see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llenergymeasure.energy.ledger import is_estimated
from llenergymeasure.records.labels import Part, as_text
from llenergymeasure.results.reading.compact import ENERGY
from llenergymeasure.results.report.evidence import EvidenceRow
from llenergymeasure.results.report.findings import FindingGroup, RunFinding, group_by_code
from llenergymeasure.results.statistics.estimates import Estimate
from llenergymeasure.results.tables.output_match import Comparison

__all__ = ["ENERGY", "RANKED_BY", "SPEED", "Agreement", "Experiment", "describe_source", "is_estimated"]

SPEED = "throughput_output_tokens_per_s"
# What configurations are ranked by.
RANKED_BY = (ENERGY, SPEED)


@dataclass(frozen=True)
class Agreement:
    """In how many of the `compared` runs both ways of finding the prefill energy agree."""

    agreeing: int
    compared: int


@dataclass(frozen=True)
class Experiment:
    """Figures of one configuration.

    replicates: how many its figures rest on; suspect_left_out: suspect ones that they do not rest on
    values: metric they are ranked by → replicate → its figure, of the replicates that count and have one
    doubts: why valid runs are suspect
    invalid_codes: replicate → codes that make it invalid, of the invalid replicates
    evidence: merged over replicates; empty where the report does not show it
    budgets: of each run with a budget of its energy per output token: kind of component (edge, rate, baseline, gain) →
        standard uncertainty, relative to the figure
    level: nominal level of its intervals, see `sequential.nominal_level`
    expanded95: metric → half width of the 95 % interval of the mean, with the uncertainty of the instrument
    unknown: metric → why it has no mean
    meter_uncertainty: relative standard uncertainty of the meter itself, which replicates cannot show
    """

    experiment_id: str
    setup_id: str
    session_id: str
    parts: list[Part]
    status: str
    reason: str | None
    replicates: int
    suspect_left_out: int
    energy_source: str | None
    meter_uncertainty: float | None
    output_digest: str | None
    comparison: Comparison
    estimates: Mapping[str, Estimate]
    values: Mapping[str, Mapping[int, float]]
    unknown: Mapping[str, str]
    expanded95: Mapping[str, float]
    level: float
    doubts: Sequence[RunFinding] = ()
    warnings: Sequence[RunFinding] = ()
    invalid_codes: Mapping[int, Sequence[str]] = field(default_factory=dict)
    evidence: Sequence[EvidenceRow] = ()
    budgets: Sequence[Mapping[str, float]] = ()
    phase_agreement: Agreement = Agreement(0, 0)

    @property
    def label(self) -> str:
        return as_text(self.parts)

    @property
    def ranked(self) -> bool:
        """Whether its figures are those of the configuration asked for: a failed or invalid one is not ranked."""
        return self.status in ("ok", "partial")

    @property
    def suspect(self) -> bool:
        """Whether something disturbed one of its windows and may have changed its figures."""
        return bool(self.doubts)

    @property
    def doubts_by_code(self) -> list[FindingGroup]:
        return group_by_code(self.doubts)

    @property
    def estimated(self) -> bool:
        return is_estimated(self.energy_source)

    def mean(self, metric: str) -> float | None:
        return self.estimates[metric].mean


def describe_source(source: str) -> str:
    """`measured by nvml-total-energy`, `estimated by codecarbon`: a source, or a sum of sources of one kind."""
    pairs = [part.partition(":") for part in source.split("+")]
    kinds = dict.fromkeys(kind for kind, _, _ in pairs)
    return f"{' and '.join(kinds)} by {' and '.join(meter for _, _, meter in pairs)}"
