"""together.csv and folders.csv: several results folders of one study, from several machines or days.

Joules of different instruments are not refused here: how much the gains differ is a part of the reproducibility. What
they cover must be equal, and so must prompts and weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from llenergymeasure.energy.ledger import is_estimated
from llenergymeasure.records.labels import as_text, configuration_parts
from llenergymeasure.records.metrics import CONTRACT_METRICS, ENERGY_METRICS
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.statistics.between_studies.interlaboratory import (
    OUTLIER,
    STRAGGLER,
    consensus,
    critical_h,
    critical_k,
    mandel,
    precision,
)
from llenergymeasure.results.statistics.counted import counted
from llenergymeasure.results.tables.empty_cells import text_or_none
from llenergymeasure.results.tables.rerun_comparison import Side, read_side

_KEYS = ("experiment_id", "configuration", "metric")
COLUMNS = (
    *_KEYS,
    *("folders", "n", "mean", "repeatability_sd", "between_sd", "reproducibility_sd"),
    *("consensus", "consensus_u", "consensus_ci95_low", "consensus_ci95_high"),
    *("energy_source", "instruments", "stragglers", "outliers", "reason"),
)
FOLDER_COLUMNS = (
    *_KEYS,
    *("number", "folder", "n", "mean", "sd", "h", "k", "mark"),
    *("h_straggler", "h_outlier", "k_straggler", "k_outlier"),
)
# What every folder must agree on, and how a reader calls it.
_SAME = {"models": "model files", "prompts": "prompts"}


@dataclass(frozen=True)
class Laboratory:
    """One results folder. number: its place among those that were named, from 1; name: without the path before it"""

    number: int
    name: str
    side: Side

    @cached_property
    def _runs(self) -> dict[str, pd.DataFrame]:
        runs = self.side.runs
        return {str(name): mine for name, mine in runs[counted(runs)].groupby("experiment_id")}

    def figures(self, experiment: str, metric: str) -> list[float]:
        """Of the valid replicates; of the undisturbed ones, where there are enough."""
        mine = self._runs.get(experiment)
        return [] if mine is None else [float(value) for value in mine[metric].dropna()]

    def source(self, experiment: str) -> str | None:
        return text_or_none(self.side.summary[experiment]["energy_source"])


@dataclass(frozen=True)
class Together:
    """The folders, and the two tables. differing: what else was not the same, in the words of `measured_under`"""

    laboratories: Sequence[Laboratory]
    table: pd.DataFrame
    folders: pd.DataFrame
    differing: Sequence[str]


def read_together(paths: Sequence[Path]) -> Together:
    """ResultsError where a file is missing or broken, or where folders had other prompts or weights."""
    laboratories = [
        Laboratory(number, path.absolute().name, read_side(path)) for number, path in enumerate(paths, start=1)
    ]
    first = laboratories[0]
    labels = configuration_parts(first.side.plan)
    differing = _differing(laboratories)
    rows: list[dict[str, Any]] = []
    folders: list[dict[str, Any]] = []
    for name in first.side.plan.experiments:
        for metric in CONTRACT_METRICS:
            keys = {"experiment_id": name, "configuration": as_text(labels[name]), "metric": metric}
            having = [one for one in laboratories if one.figures(name, metric)]
            reason = _why_not(having, name, metric)
            if reason is not None:
                rows.append({**keys, "folders": len(having), "reason": reason})
                continue
            cells = [one.figures(name, metric) for one in having]
            marks = _folder_rows(having, cells)
            folders += [{**keys, **row} for row in marks]
            rows.append({**keys, **_row(cells), **_energy(having, name, metric), **_marked(marks)})
    return Together(
        laboratories,
        pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": "Int64", "instruments": "Int64"}),
        pd.DataFrame(folders, columns=list(FOLDER_COLUMNS)),
        differing,
    )


def _differing(laboratories: Sequence[Laboratory]) -> list[str]:
    """What differs from the first folder. ResultsError where that must not."""
    first, *others = laboratories
    differing: dict[str, None] = {}
    for name in first.side.plan.experiments:
        facts = first.side.facts.get(name)
        for other in others:
            theirs = other.side.facts.get(name)
            if facts is None or theirs is None:
                continue
            differences = facts.differences(theirs)
            wrong = [words for field, words in _SAME.items() if field in differences]
            if wrong:
                raise ResultsError(
                    f"experiment {name} was measured with other {wrong[0]} in {other.name} (folder {other.number}) "
                    f"than in {first.name} (folder 1), so they do not measure one thing; name only one of the two"
                )
            differing |= dict.fromkeys(differences)
    return list(differing)


def _why_not(having: Sequence[Laboratory], name: str, metric: str) -> str | None:
    """Why the folders have no figures together."""
    if len(having) < 2:
        return f"{len(having) or 'no'} folder{'' if len(having) == 1 else 's'} with a figure"
    if metric not in ENERGY_METRICS:
        return None
    sources = dict.fromkeys(str(one.source(name)) for one in having)
    if len(sources) > 1:
        return f"joules from different sources: {', '.join(sources)}"
    if is_estimated(having[0].source(name)):
        return "estimated joules follow from time and load, so nothing is said about how they scatter"
    boundaries = dict.fromkeys(one.side.facts[name].boundaries for one in having)
    if len(boundaries) > 1:
        return f"joules of different parts: {' or '.join(' + '.join(sorted(parts)) for parts in boundaries)}"
    return None


def _row(cells: Sequence[Sequence[float]]) -> dict[str, Any]:
    figures, agreed = precision(cells), consensus(cells)
    return {
        "folders": len(cells),
        "n": sum(map(len, cells)),
        "mean": figures.mean,
        "repeatability_sd": figures.repeatability,
        "between_sd": figures.between,
        "reproducibility_sd": figures.reproducibility,
        "consensus": agreed.value,
        "consensus_u": agreed.standard,
        "consensus_ci95_low": agreed.low,
        "consensus_ci95_high": agreed.high,
    }


def _energy(having: Sequence[Laboratory], name: str, metric: str) -> dict[str, Any]:
    """instruments: how many sets of instruments there were; None where some cannot be told apart"""
    if metric not in ENERGY_METRICS:
        return {}
    sets = {instruments for one in having for instruments in one.side.facts[name].instruments.values()}
    return {"energy_source": having[0].source(name), "instruments": None if None in sets else len(sets)}


def _folder_rows(having: Sequence[Laboratory], cells: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    rows = []
    for place, (one, found) in enumerate(zip(having, mandel(cells), strict=True)):
        others = [len(cell) for at, cell in enumerate(cells) if at != place and len(cell) > 1]
        rows.append(
            {
                "number": one.number,
                "folder": one.name,
                **vars(found),
                "h_straggler": critical_h(len(cells), STRAGGLER),
                "h_outlier": critical_h(len(cells), OUTLIER),
                "k_straggler": critical_k(found.n, others, STRAGGLER),
                "k_outlier": critical_k(found.n, others, OUTLIER),
            }
        )
    return rows


def _marked(rows: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """The numbers of the folders with each mark."""
    return {
        f"{mark}s": " ".join(str(row["number"]) for row in rows if row["mark"] == mark) or None
        for mark in ("straggler", "outlier")
    }
