"""The pages on methodology are true of the code: examples run; findings, numbers, sources and orders agree."""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator
from typing import get_args

import pytest
from harness import ROOT

from llenergymeasure.config.settings.protocol import Order
from llenergymeasure.energy import ticking_counters
from llenergymeasure.energy.integration import counter_energy, cross_check, integrated_power, ticks
from llenergymeasure.energy.integration import sensors as device_families
from llenergymeasure.energy.meters import codecarbon as codecarbon_meter
from llenergymeasure.energy.meters import zeus as zeus_meter
from llenergymeasure.energy.meters.host import foreign_load
from llenergymeasure.energy.meters.host import watcher as host_watch
from llenergymeasure.energy.meters.nvml import findings as nvml_findings
from llenergymeasure.energy.meters.nvml import meter as nvml_meter
from llenergymeasure.energy.meters.rapl import energy as rapl_energy
from llenergymeasure.energy.sampling import loop as sampling_loop
from llenergymeasure.measurement import settling, window_findings
from llenergymeasure.measurement import window_length as resolution
from llenergymeasure.records.findings import FINDINGS, FOREIGN_LOAD
from llenergymeasure.records.meters import METERS
from llenergymeasure.results.statistics import independence, length_model, percentiles
from llenergymeasure.results.statistics.comparisons import power as detectable
from llenergymeasure.results.statistics.comparisons import simultaneous
from llenergymeasure.results.statistics.strata import scatter
from llenergymeasure.results.tables import token_costs

PAGES = [
    ROOT / "docs" / f"{name}.md" for name in ("methodology", "energy", "verdicts", "processes", "statistics", "costs")
]
PACKAGE = ROOT / "scripts" / "llenergymeasure"


def test_every_example_gives_what_the_pages_say() -> None:
    done = [
        doctest.testfile(str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE) for page in PAGES
    ]
    assert sum(result.attempted for result in done) > 60
    assert sum(result.failed for result in done) == 0


def test_every_finding_is_on_a_page_with_its_verdict_and_what_to_do() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (suspect|invalid|warning) \| (.+) \| (.+) \|$", text(), re.MULTILINE)
    assert sorted(rows) == sorted((code, kind.severity, kind.meaning, kind.advice) for code, kind in FINDINGS.items())


def test_every_finding_of_the_catalogue_is_raised_somewhere_and_no_other() -> None:
    raised = set(_raised())
    assert raised == set(FINDINGS)


def _raised() -> Iterator[str]:
    """The codes with which the package raises findings and warnings, or keeps them to raise them later."""
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "records":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                code = node.args[0] if node.args else None
                if called == "append" and isinstance(code, ast.Tuple):  # the caveats of a selection of boards
                    called, code = "warn", code.elts[0]
                of_logging = called == "warning" and isinstance(node.func, ast.Attribute)
                if called in {"Finding", "warning", "warn", "_warn"} and not of_logging:
                    if isinstance(code, ast.Constant):
                        yield code.value
                    elif isinstance(code, ast.Name) and code.id in constants:
                        yield constants[code.id]


def percent(share: float) -> str:
    return f"{100 * share:g} %"


def text() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def prose() -> str:
    return " ".join(text().split())


@pytest.mark.parametrize(
    "sentence",
    [
        "for a quarter of a second at most" if sampling_loop.FIRST_TICK_S == 0.25 else "",
        "for at least half a second before it opens" if ticking_counters.STEADY_S == 0.5 else "",
        f"(every {1e3 * ticks.POLL_S:g} ms, or as fast as the driver answers), until {sampling_loop.EDGE_S} s after",
        f"for {ticks.CHARACTERISE_S:g} s, or until each counter has ticked six times, for at most "
        f"{ticks.LONGEST_CHARACTERISE_S:g} s"
        if ticks.FEWEST_TICKS == 6
        else "",
        f"at most {device_families.UNKNOWN_LAG_S:g} s after its period has ended",
        f"by more than {percent(counter_energy.IRREGULAR)}, no grid is used",
        "a gap of more than a second" if integrated_power.LONGEST_GAP_S == 1 else "",
        f"at least {resolution.SHORTEST_TRIAL_S:g} and at most {resolution.LONGEST_TRIAL_S:g} s",
        f"≤ {resolution.ALLOWED} · energy_resolution · P · t",
        f"±{percent(device_families.UNKNOWN.gain_bound)} per board for NVIDIA",
        f"for RAPL ±{percent(rapl_energy.GAIN_BOUNDS['cpu'])} of a package",
        f"and ±{percent(rapl_energy.GAIN_BOUNDS['dram'])} of its memory",
        f"by more than {percent(nvml_findings.CLOCK_FALL)} from the first to the last third",
        f"beyond their uncertainty, and by more than {percent(cross_check.LEAST_THRESHOLD)}",
        f"the window is under {window_findings.SHORT_WINDOW} of `measurement.min_window_s`",
        f"its passes vary by more than {percent(window_findings.UNSTABLE_CV)}",
        f"held down for over {percent(nvml_findings.THROTTLED_SHARE)} of the window",
        f"SMs busy for over {nvml_findings.FOREIGN_SM_PERCENT:g} % of the window",
        f"differ by no more than {percent(settling.TOLERANCE)}, in power",
        f"of each board that reports it, for {settling.MOST_S:g} seconds at most",
        "three successive seconds have to agree" if settling.AGREEING_STEPS_AT_FIRST_CLOCK == 3 else "",
        f"power still varied {settling.MOST_S:g} s after" if settling.STEP_S == 1 else "",
        "only if less than one core was free" if foreign_load.NEEDED_CORES == 1 else "",
        f"the limit (`measurement.foreign_load`, {percent(FOREIGN_LOAD)})",
        f"more than `measurement.foreign_load` ({percent(FOREIGN_LOAD)}) of the window's energy",
        f"{percent(FOREIGN_LOAD)} is as large as the assumed error of RAPL's package counter"
        if rapl_energy.GAIN_BOUNDS["cpu"] == FOREIGN_LOAD
        else "",
        "a load within four of these standard deviations" if host_watch.TICK_DEVIATIONS == 4 else "",
        f"a window under {host_watch.SHORTEST_S} s gets none",
        f"**The smallest difference** that a study finds in {percent(detectable.POWER)} of cases",
        "and five values beyond the percentile" if percentiles.FEWEST_BEYOND == 5 else "",
        f"{percentiles.fewest_prompts(0.5)} for the median, {percentiles.fewest_prompts(0.95)} for the 95th"
        f", {percentiles.fewest_prompts(0.99)} for the 99th percentile",
        f"Where a window is over {percent(token_costs.LARGEST_MISS)} off, or p is below {length_model.LACK_OF_FIT:g}",
        f"level {scatter.PRELIMINARY:g}/df on, at most {percent(scatter.HIGHEST)}",
        f"is larger at the {percent(scatter.OUTLYING)} level for all at once",
        "Figures that agree to nine digits are equal" if simultaneous.ROUNDING == 1e-9 else "",
        f"σ² is its upper {percent(detectable.CERTAINTY)} limit",
        "Fewer than five replicates show nothing of it" if independence.FEWEST == 5 else "",
        f"is significant ({percent(independence.LEVEL / 2)} each)",
    ],
)
def test_numbers_in_the_text_are_the_codes(sentence: str) -> None:
    assert sentence and sentence in prose()


def test_every_family_of_boards_has_the_gain_that_the_page_states() -> None:
    assert {family.gain_bound for family in device_families.FAMILIES} == {device_families.UNKNOWN.gain_bound}


def test_the_sources_and_the_orders_are_those_there_are() -> None:
    declared = {source.name for entry in METERS.values() for source in entry.sources}
    assert set(re.findall(r"^\| `((?:measured|estimated):[a-z-]+)` \|", text(), re.MULTILINE)) == declared
    assert declared >= {
        nvml_meter.SOURCES.counter,
        nvml_meter.SOURCES.power,
        zeus_meter.SOURCES.counter,
        rapl_energy.SOURCE,
        codecarbon_meter.SOURCE,
    }
    pages = text()
    table = pages[pages.index("| order | a block") :].split("\n\n", 1)[0]
    assert set(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == set(get_args(Order))
