"""together.html and together.txt: several results folders of one study on one page, and in a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from llenergymeasure.config.problems.text import counted, printable
from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.report.experiments import ENERGY, SPEED, describe_source
from llenergymeasure.results.report.formatting import choose_scale, percent
from llenergymeasure.results.report.page_templates import fill_template
from llenergymeasure.results.report.tables.rerun import DIFFERENCES
from llenergymeasure.results.report.truncation import shown
from llenergymeasure.results.tables.together import Laboratory, Together

METRICS_SHOWN = (ENERGY, SPEED, "ttft_s", "peak_memory_bytes")
# In the terminal.
FEW = 12
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Line:
    """One configuration, as text. spreads: s_r, s_L and s_R as shares of the mean; marked: folders by number"""

    configuration: str
    consensus: str
    spreads: tuple[str, str, str]
    marked: str
    h_and_k: list[str]


@dataclass(frozen=True)
class Section:
    """One metric. unit: of the consensus values; unknown: (configuration, reason); gain: on instruments, or empty"""

    title: str
    unit: str
    source: str | None
    lines: list[Line]
    left_out: int
    unknown: list[tuple[str, str]]
    gain: str


def render(together: Together) -> str:
    """The page as HTML. No script, and no text from outside becomes markup."""
    return fill_template(
        "together.html",
        study=together.laboratories[0].side.plan.study,
        folders=[(one.number, one.name, _measured_on(one)) for one in together.laboratories],
        differing=_differing(together),
        sections=[section for metric in METRICS_SHOWN if (section := _section(together, metric)) is not None],
    )


def few_lines(together: Together, page: Path) -> str:
    """For the end of the call: energy and speed of the first configurations."""
    count = counted(len(together.laboratories), "folder")
    lines = [f"study:  {together.laboratories[0].side.plan.study} · {count}"]
    lines += [printable(f"folder {one.number}: {one.name} · {_measured_on(one)}") for one in together.laboratories]
    if differing := _differing(together):
        lines.append(f"differ: {', '.join(differing)}")
    for metric in (ENERGY, SPEED):
        section = _section(together, metric)
        if section is not None:
            lines += ["", *_table(section)]
    lines += ["", f"page:   {page}"]
    return "".join(f"{line}\n" for line in lines)


def _table(section: Section) -> list[str]:
    heads = ("configuration", f"{section.unit}, 95 %", "s_r", "s_L", "s_R", "unlike the others")
    rows = [(printable(line.configuration), line.consensus, *line.spreads, line.marked) for line in section.lines[:FEW]]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [section.title + (f" [{section.source}]" if section.source else "")]
    lines += ["  ".join(map(str.ljust, row, widths)).rstrip() for row in ((heads, *rows) if rows else ())]
    more = len(section.lines) + section.left_out - FEW
    if more > 0:
        lines.append(f"{more} more in together.csv")
    lines += [printable(f"{configuration}: {reason}") for configuration, reason in section.unknown[:FEW]]
    return [*lines, section.gain] if section.gain else lines


def _section(together: Together, metric: str) -> Section | None:
    """None where no folder has a figure."""
    rows = together.table[together.table["metric"] == metric]
    known = rows[rows["reason"].isna()]
    if known.empty and not rows["folders"].any():
        return None
    best = shown(known.to_dict("records"))
    scale = choose_scale(metric, list(known["consensus"]))
    sources = dict.fromkeys(known["energy_source"].dropna())
    of_folders = together.folders[together.folders["metric"] == metric]
    return Section(
        title=METRICS[metric].label,
        unit=scale.unit,
        source=", ".join(map(describe_source, sources)) or None,
        lines=[_line(row, scale, of_folders, together.laboratories) for row in best.rows],
        left_out=best.left_out,
        unknown=[
            (str(row["configuration"]), str(row["reason"])) for row in rows[rows["reason"].notna()].to_dict("records")
        ],
        gain=_gain(known) if METRICS[metric].energy else "",
    )


def _line(row: Mapping[Any, Any], scale: Any, of_folders: pd.DataFrame, laboratories: Sequence[Laboratory]) -> Line:
    half = (row["consensus_ci95_high"] - row["consensus_ci95_low"]) / 2
    mine = of_folders[of_folders["experiment_id"] == row["experiment_id"]]
    by_number = {entry["number"]: entry for entry in mine.to_dict("records")}
    marks = [f"{number} ({entry['mark']})" for number, entry in by_number.items() if entry["mark"]]
    return Line(
        configuration=str(row["configuration"]),
        consensus=f"{scale.value(row['consensus'])} ± {scale.value(half, 2)}",
        spreads=(
            _share(row["repeatability_sd"], row["mean"]),
            _share(row["between_sd"], row["mean"]),
            _share(row["reproducibility_sd"], row["mean"]),
        ),
        marked=", ".join(marks),
        h_and_k=[_h_and_k(by_number.get(one.number)) for one in laboratories],
    )


def _h_and_k(entry: Mapping[Any, Any] | None) -> str:
    if entry is None:
        return UNKNOWN
    k = "–" if pd.isna(entry["k"]) else f"{entry['k']:.2f}"
    return f"{entry['h']:+.2f} / {k}"


def _share(value: float | None, mean: float) -> str:
    return UNKNOWN if value is None or pd.isna(value) else percent(value / abs(mean))


def _gain(known: pd.DataFrame) -> str:
    """What the joules' spread between folders says of the instruments' gains."""
    counts = known["instruments"]
    if counts.empty:
        return ""
    if counts.isna().any():
        return (
            "It is not known whether all joules are of the same instruments (a machine has no id of its own), so s_L "
            "may contain the spread of their gains, or not."
        )
    if (counts == 1).all():
        return "All joules are of the same instruments: their gain is in none of these figures."
    return "Joules are of several instruments: how much their gains differ is a part of s_L and s_R."


def _measured_on(one: Laboratory) -> str:
    facts = one.side.facts.values()
    devices = sorted({device for fact in facts for device in fact.devices})
    replicates = counted(one.side.plan.replicates, "replicate")
    return f"{', '.join(devices) or UNKNOWN} · {replicates}"


def _differing(together: Together) -> list[str]:
    return [words for name, words in DIFFERENCES.items() if name in together.differing]
