"""The summary in five lines, for the end of a run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from llenergymeasure.config.problems.text import first_few, printable, shortened
from llenergymeasure.results.reading.read import StudyResults
from llenergymeasure.results.report.experiments import ENERGY, SPEED, Experiment, experiments_of, source_words
from llenergymeasure.results.report.formatting import Scale, percent, scale_of
from llenergymeasure.results.report.ranking import Best, best, groups_by_source
from llenergymeasure.results.report.rerun_table import in_words as in_words_of_rerun
from llenergymeasure.results.tables.interim import in_words


def five_lines(study: StudyResults, report: Path) -> str:
    """Study, best by energy, best by speed, failures and warnings, where the report is; a sixth for a rerun."""
    experiments = experiments_of(study)
    ranked = [item for item in experiments if item.ranked]
    counts = [f"{len(ranked)} measured"]
    counts += [f"{number} {status}" for status in ("failed", "invalid") if (number := _count(experiments, status))]
    replicates = study.plan["replicates"]
    tally = f"{len(experiments)} experiments × {replicates} replicate{'' if replicates == 1 else 's'}"
    ended = "" if study.plan["interim"] is None else f"; {in_words(study.plan['interim'])}"
    lines = (
        ("study:          ", f"{study.plan['study']} · {tally}: {', '.join(counts)}{ended}"),
        ("best by energy: ", _by_energy(experiments)),
        ("best by speed:  ", _sentence(best(ranked, SPEED))),
        ("failures:       ", _failures(experiments, int(study.summary["warnings"].sum()))),
        *([] if study.rerun is None else [("rerun of:       ", _rerun(study.rerun))]),
        ("report:         ", str(report)),
    )
    return "".join(f"{title}{printable(text)}\n" for title, text in lines)


def distinguishable(found: Best) -> str:
    """What the data say about the first against the second, in words."""
    if found.second is None:
        return "nothing to compare with"
    versus = f"the second, {found.second.label}"
    if found.ratio is None:
        return f"can't be compared with {versus}: a figure is missing or not positive"
    if found.ratio.low is None or found.ratio.high is None:
        return f"with one replicate nobody can tell it from {versus}"
    value, low, high = found.ratio.value, found.ratio.low, found.ratio.high
    times = f"which has {value:.3g} times this figure (95 % interval {low:.3g} to {high:.3g})"
    if found.ratio.distinguishable or found.detectable is None:
        return f"{'' if found.ratio.distinguishable else 'not '}distinguishable from {versus}, {times}"
    found_usually = f"a difference of {percent(found.detectable)} would usually be found"
    return f"not distinguishable from {versus}, {times}; {found_usually}"


def _rerun(comparison: pd.DataFrame) -> str:
    return f"{comparison['rerun_of'].iloc[0]} · {in_words_of_rerun(comparison)}"


def _by_energy(experiments: list[Experiment]) -> str:
    # Measured and estimated joules are never compared with each other: each source has its own best.
    known = [group for group in groups_by_source(experiments) if group.source is not None]
    sentences = [f"{_sentence(best(group.experiments, ENERGY))} [{_marked(group.source or '')}]" for group in known]
    return "; ".join(sentences) or "unknown, no experiment has an energy figure"


def _marked(source: str) -> str:
    return source_words(source).replace("estimated", "ESTIMATED")


def _sentence(found: Best | None) -> str:
    if found is None:
        return "unknown, nothing was measured"
    figure = found.first.estimates[found.metric]
    assert figure.mean is not None
    scale: Scale = scale_of(found.metric, [figure.mean])
    if figure.low is None or figure.high is None:
        spread = "one replicate, no interval"
    else:
        spread = f"95 % interval {scale.value(figure.low)} to {scale.value(figure.high)}, n={figure.n}"
        if found.metric in found.first.expanded95:
            spread += f"; ± {scale.value(found.first.expanded95[found.metric])} with the instrument"
    versus = "" if found.second is None else f"; {distinguishable(found)}"
    return (
        f"{found.first.label} · {scale.value(figure.mean)} {scale.unit} ({spread}){versus}{other_output(found.first)}"
    )


def other_output(item: Experiment) -> str:
    """What must be said beside a best figure: that this configuration says something else than the reference."""
    found = item.comparison
    if not found.differs:
        return ""
    return f"; its output is not the reference's: it differs from token {found.first_difference}"


def _count(experiments: list[Experiment], status: str) -> int:
    return sum(item.status == status for item in experiments)


def _failures(experiments: list[Experiment], warnings: int) -> str:
    noted = f"{warnings} warning{'' if warnings == 1 else 's'}" if warnings else "no warnings"
    if suspect := sum(item.suspect for item in experiments):
        noted += f", {suspect} suspect (see the report)"
    bad = [item for item in experiments if item.status != "ok"]
    if not bad:
        return f"no failures, {noted}"
    counts = ", ".join(
        f"{number} {status}" for status in ("failed", "invalid", "partial") if (number := _count(experiments, status))
    )
    reasons = list(dict.fromkeys(f"{item.label}: {item.reason}" for item in bad))
    return f"{counts}, {noted}; {first_few((shortened(reason, 160) for reason in reasons), 2, '; ')}"
