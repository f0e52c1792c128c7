"""The tables of the report: ranking, setups, what failed, what was warned of, what is unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llenergymeasure.records.labels import Part
from llenergymeasure.records.metrics import METRICS, SUMMARY_METRICS
from llenergymeasure.records.setup import LoadRecord
from llenergymeasure.records.validity import Failure
from llenergymeasure.results.reading.compact import CompactRecord
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment, is_estimated
from llenergymeasure.results.report.figures import spelled
from llenergymeasure.results.report.formatting import Scale, scale_of, unit_scale
from llenergymeasure.results.report.ranking import Group
from llenergymeasure.results.report.truncation import shown
from llenergymeasure.results.tables.load_cost import Joules, LoadCost, load_cost
from llenergymeasure.results.tables.summary import DIFFERS

RANKING = (
    ENERGY,
    "net_energy_per_output_token_j",
    SPEED,
    "ttft_s",
    "tpot_s",
    "e2e_latency_s",
    "peak_memory_bytes",
    "average_power_w",
)
# Texts of one code that are shown; a warning with the experiment's figures in it has as many texts as experiments.
MESSAGES = 4


@dataclass(frozen=True)
class Cell:
    """A figure in a table. `sort` orders the column; None, an unknown value, always comes last."""

    text: str
    spread: str | None
    title: str
    sort: float | None
    n: int | None = None
    estimated: bool = False


@dataclass(frozen=True)
class Head:
    label: str
    unit: str
    title: str
    better: str


@dataclass(frozen=True)
class RankingRow:
    number: str
    experiment: Experiment
    output: str
    cells: list[Cell]

    @property
    def same_sort(self) -> str:
        """Sorts the column "same output": an earlier difference is farther from the reference's output."""
        found = self.experiment.comparison
        if found.identical is None:
            return ""
        return "Infinity" if found.identical else str(found.first_difference)


@dataclass(frozen=True)
class RankingGroup:
    source: str | None
    estimated: bool
    uncertainty: float | None
    rows: list[RankingRow]
    left_out: int


def ranking_heads(scales: Mapping[str, Scale]) -> list[Head]:
    words = {True: "higher is better", False: "lower is better", None: ""}
    return [
        Head(METRICS[name].label, scales[name].unit, METRICS[name].definition, words[METRICS[name].higher_is_better])
        for name in RANKING
    ]


def ranking_scales(experiments: Iterable[Experiment]) -> dict[str, Scale]:
    """One prefix a column; gross and net joules share theirs, or they could not be compared at a glance."""
    several = list(experiments)
    scales = {name: scale_of(name, [item.mean(name) for item in several]) for name in RANKING}
    scales["net_energy_per_output_token_j"] = scales[ENERGY]
    return scales


def ranking_groups(
    groups: Sequence[Group], numbers: Mapping[str, str], scales: Mapping[str, Scale]
) -> list[RankingGroup]:
    outputs = _output_letters(item for group in groups for item in group.experiments)
    return [
        RankingGroup(
            group.source,
            group.estimated,
            _largest(item.meter_uncertainty for item in group.experiments),
            [
                RankingRow(
                    numbers[item.experiment_id],
                    item,
                    outputs[item.experiment_id],
                    [_cell(item, name, scales[name]) for name in RANKING],
                )
                for item in best.rows
            ],
            best.left_out,
        )
        for group in groups
        for best in [shown(group.experiments)]
    ]


def _cell(item: Experiment, metric: str, scale: Scale) -> Cell:
    found = item.estimates[metric]
    if found.mean is None:
        return Cell("unknown", None, item.unknown[metric], None)
    text, spread = scale.estimate(found)
    return Cell(
        text,
        spread,
        spelled(found, scale),
        found.mean,
        n=found.n if found.n != item.replicates else None,
        estimated=METRICS[metric].energy and item.estimated,
    )


def _output_letters(experiments: Iterable[Experiment]) -> dict[str, str]:
    """The same letter for configurations whose first pass gave the same tokens, in every replicate."""
    letters: dict[str, str] = {}
    found = {}
    for item in experiments:
        digest = item.output_digest
        if digest is None or digest == DIFFERS:
            found[item.experiment_id] = DIFFERS if digest else "unknown"
        else:
            found[item.experiment_id] = letters.setdefault(digest, _letter(len(letters)))
    return found


def _letter(number: int) -> str:
    text = chr(ord("a") + number % 26)
    return text if number < 26 else _letter(number // 26 - 1) + text


# Loads --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetupRow:
    parts: list[Part]
    experiments: int
    failure: str | None
    cells: list[Cell]


@dataclass(frozen=True)
class SetupTable:
    heads: list[Head]
    rows: list[SetupRow]
    left_out: int


def setup_table(
    setups: Sequence[LoadRecord], parts: Mapping[str, list[Part]], experiments: Sequence[Experiment]
) -> SetupTable:
    """What each setup cost, once. A setup is done once for its record, so there is no interval."""
    costs = [load_cost(record) for record in setups]
    seconds = Scale(1.0, "s")
    joules = unit_scale("J", [cost.load.energy_j for cost in costs])
    memory = unit_scale("bytes", [cost.resident_bytes for cost in costs])
    heads = [
        Head("Load", seconds.unit, "Time of from_pretrained until the device is done.", ""),
        Head("Load energy", joules.unit, "Gross energy of that window.", ""),
        Head("Compile", seconds.unit, "Time of the first generation, in which everything is compiled.", ""),
        Head("Compile energy", joules.unit, "Gross energy of that window.", ""),
        Head("Weights", memory.unit, "Bytes of parameters and buffers of the loaded model.", ""),
        Head("Peak while loading", memory.unit, "Highest memory in use while loading.", ""),
    ]
    sizes = Counter(item.setup_id for item in experiments)
    first = shown(list(zip(setups, costs, strict=True)))
    rows = [
        SetupRow(
            parts[record.setup_id],
            sizes[record.setup_id],
            failure_text(record.failure) if record.status != "ok" else None,
            _setup_cells(cost, record.status, seconds, joules, memory),
        )
        for record, cost in first.rows
    ]
    return SetupTable(heads, rows, first.left_out)


def _setup_cells(cost: LoadCost, status: str, seconds: Scale, joules: Scale, memory: Scale) -> list[Cell]:
    missing = "the load failed" if status != "ok" else "the load record does not hold it"
    nothing = missing if status != "ok" else None
    return [
        _plain(cost.load_s, seconds, missing),
        _joules(cost.load, joules),
        _plain(cost.compile_s, seconds, missing, nothing_to_say=nothing is None),
        _joules(cost.compile, joules) if cost.compile or nothing else Cell("–", None, "nothing was compiled", None),
        _plain(cost.resident_bytes, memory, missing),
        _plain(cost.load_peak_bytes, memory, missing),
    ]


def _plain(value: float | None, scale: Scale, missing: str, *, nothing_to_say: bool = False) -> Cell:
    if value is not None:
        return Cell(scale.value(value), None, "", value)
    return Cell("–", None, "nothing was compiled", None) if nothing_to_say else Cell("unknown", None, missing, None)


def _joules(found: Joules | None, scale: Scale) -> Cell:
    if found is None or found.energy_j is None:
        return Cell("unknown", None, "the load failed" if found is None else found.reason or "", None)
    return Cell(
        scale.value(found.energy_j), None, found.source or "", found.energy_j, estimated=is_estimated(found.source)
    )


# What went wrong ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FailureRow:
    """One reason for which replicates of an experiment gave no figures."""

    experiment: Experiment
    status: str
    replicates: list[int]
    stage: str
    error_class: str
    reason: str
    log: str


def failure_rows(experiments: Sequence[Experiment], runs: Iterable[Mapping[Hashable, Any]]) -> list[FailureRow]:
    """Failed and invalid runs; replicates with the same reason share a row."""
    by_id = {item.experiment_id: item for item in experiments}
    found: dict[tuple[str, ...], list[int]] = {}
    logs: dict[tuple[str, ...], str] = {}
    for run in runs:
        if run["status"] != "ok":
            names = ("experiment_id", "status", "failure_stage", "failure_class", "failure_reason")
            key = tuple(_word(run[name]) for name in names)
            found.setdefault(key, []).append(int(run["replicate"]))
            logs.setdefault(key, _word(run["log"]))
    return [
        FailureRow(by_id[key[0]], key[1], replicates, key[2], key[3], key[4], logs[key])
        for key, replicates in found.items()
    ]


def failure_text(failure: Failure | None) -> str:
    return "failed" if failure is None else f"{failure.stage}: {failure.error_class}: {failure.reason}"


@dataclass(frozen=True)
class WarningRow:
    code: str
    runs: int
    experiments: int
    messages: list[str]
    more: int


def warning_rows(records: Iterable[CompactRecord]) -> list[WarningRow]:
    """Warnings of all runs by code, the most frequent first."""
    by_code: dict[str, list[tuple[CompactRecord, str]]] = {}
    for record in records:
        for item in record.warnings:
            by_code.setdefault(item.code, []).append((record, item.message))
    rows = []
    for code, several in by_code.items():
        messages = list(dict.fromkeys(message for _, message in several))
        runs = {(record.experiment_id, record.replicate) for record, _ in several}
        rows.append(
            WarningRow(
                code, len(runs), len({name for name, _ in runs}), messages[:MESSAGES], max(0, len(messages) - MESSAGES)
            )
        )
    return sorted(rows, key=lambda row: -row.runs)


@dataclass(frozen=True)
class UnknownRow:
    """A reason, the metrics without a figure for it, and the experiments."""

    reason: str
    metrics: list[str]
    experiments: list[str]


def unknown_rows(experiments: Iterable[Experiment]) -> list[UnknownRow]:
    """Why ranked experiments lack figures, grouped by reason."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for item in experiments:
        if item.ranked:
            for metric in SUMMARY_METRICS:
                if metric in item.unknown:
                    metrics, names = found.setdefault(item.unknown[metric], ({}, {}))
                    metrics[METRICS[metric].label] = names[item.label] = None
    return [UnknownRow(reason, list(metrics), list(names)) for reason, (metrics, names) in found.items()]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _largest(values: Iterable[float | None]) -> float | None:
    found = list(values)
    return None if None in found else max((value for value in found if value is not None), default=None)
