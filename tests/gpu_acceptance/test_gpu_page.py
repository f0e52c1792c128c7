"""docs/gpu.md is true of the code: its limits, its durations, and what the parts may take together."""

from __future__ import annotations

import re

import pytest
import yaml
from benchmarks.gpu import limits, wheels
from benchmarks.gpu.__main__ import TOTAL_S
from benchmarks.gpu.parts import INSTALL_S, PARTS
from benchmarks.gpu.records import EXPECTED
from benchmarks.gpu.scale import BOARD
from benchmarks.gpu.schedule import CLOSING_S
from benchmarks.gpu.study_run import STUDY, content
from harness import ROOT

from llenergymeasure.config import study_from_mapping

PAGE = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "sentence",
    [
        f"takes ≤ {limits.LATENCY_MS:g} ms (median)",
        f"slows a decoding by ≤ {100 * (limits.SAMPLER_COST - 1):g} %",
        f"is ≤ {limits.LAG_S:g} s",
        f"is ≤ {limits.INTERCEPT_S:g} s",
        f"{EXPECTED} of {EXPECTED} records",
        f"varies by ≤ {100 * limits.VARIATION:g} %",
        f"After {TOTAL_S:g} s it is over",
        f"the limit is {wheels.LIMIT_BYTES >> 20} MiB",
    ],
)
def test_the_limits_on_the_page_are_those_of_the_code(sentence: str) -> None:
    assert sentence in " ".join(PAGE.split())


def test_every_test_and_benchmark_of_a_board_says_what_it_takes_and_the_page_says_the_same() -> None:
    rows = re.findall(r"^\| `python -m (pytest|benchmarks) (\S+)` \| (\d+) min \|", PAGE, re.MULTILINE)
    paths = {name: ROOT / name if kind == "pytest" else ROOT / f"benchmarks/{name}.py" for kind, name, _ in rows}
    assert set(paths.values()) >= set((ROOT / "tests" / "gpu").glob("test_*.py"))
    for _, name, minutes in rows:
        text = paths[name].read_text(encoding="utf-8").split('"""')[1]
        assert re.search(rf"Takes about {minutes} minutes\b", text), name


def test_all_parts_but_the_last_fit_as_they_are_expected_to_take() -> None:
    expected = [INSTALL_S, *(expected_s for _, _, expected_s, _ in PARTS[:-1])]
    assert sum(expected) < TOTAL_S - CLOSING_S
    assert all(limit_s >= expected_s for _, _, expected_s, limit_s in PARTS)


def test_the_study_has_as_many_records_as_are_judged() -> None:
    assert content(BOARD) == yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    study = study_from_mapping(content(BOARD), require_pins=False)
    assert len(study.expand()) * study.measurement.replicates == EXPECTED
