"""What a metric is declared with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One figure of an experiment in one replicate.

    unit: what the figure is in, here and in every file
    symbol: the part of `unit` that a page may show with an SI prefix (ms, mJ, MB); None where it is a plain count
    higher_is_better: None where neither way is
    energy: computed from joules, so that figures of different sources or boundaries must not be compared
    service: its clock starts when the library begins a request, so that it lacks the queueing, and experiments of
        different `batching` must not be compared by it
    afterwards: computed from the finished measurement and a setting of the study, not stored in measurements.jsonl
    formula: an expression over the quantities of `QUANTITIES` and other metrics; empty where the figure is read off
    known_as: what other tools call the same figure; empty where it is not known under another name
    """

    name: str
    label: str
    unit: str
    definition: str
    higher_is_better: bool | None
    symbol: str | None = None
    energy: bool = False
    service: bool = False
    afterwards: bool = False
    formula: str = ""
    known_as: str = ""
