"""When loading and compiling have paid off, against figures computed by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from results.study_folder import study_folder

from llenergymeasure.results.tables.break_even import (
    Spending,
    break_even,
    reference_break_even,
    startup_break_even,
    startup_energy_j,
)
from llenergymeasure.results.tables.load_cost import Joules, LoadCost

ACCOUNT = "measured:rapl over cpu"
EAGER = Spending(startup_j=100.0, request_j=5.0, account=ACCOUNT)
COMPILED = Spending(startup_j=700.0, request_j=3.0, account=ACCOUNT)


def cost(load_j: float | None, compile_j: float | None = None) -> LoadCost:
    load = Joules(load_j, None, "measured:rapl", None if load_j else "gone", ACCOUNT)
    return LoadCost(1.0, load, None, None if compile_j is None else replace(load, energy_j=compile_j), None, None)


def test_start_up_is_loading_and_compiling() -> None:
    assert startup_energy_j(cost(100.0), ACCOUNT) == 100.0
    assert startup_energy_j(cost(100.0, 600.0), ACCOUNT) == 700.0


def test_joules_of_another_source_or_boundary_are_not_taken() -> None:
    assert startup_energy_j(cost(100.0), "measured:rapl over cpu+dram") is None
    assert startup_energy_j(cost(100.0), None) is None
    assert startup_energy_j(cost(None, 600.0), ACCOUNT) is None


def test_start_up_equals_so_many_requests() -> None:
    assert startup_break_even(EAGER) == 20.0
    assert startup_break_even(replace(EAGER, request_j=None)) is None


def test_what_compiling_took_is_saved_after_so_many_requests() -> None:
    # 600 J more at the start, 2 J less per request.
    after = reference_break_even(COMPILED, EAGER)
    assert after == 300.0
    assert 700 + after * 3 == 100 + after * 5


def test_it_never_pays_where_a_request_saves_nothing_and_at_once_where_the_start_is_cheap() -> None:
    assert reference_break_even(EAGER, COMPILED) is None
    assert reference_break_even(replace(COMPILED, startup_j=90.0), EAGER) == 0.0


def test_other_accounts_are_not_compared() -> None:
    assert reference_break_even(replace(COMPILED, account="estimated:codecarbon over cpu"), EAGER) is None


def test_columns_have_a_figure_for_each_experiment_and_none_for_the_reference() -> None:
    columns = break_even({"eager": EAGER, "compiled": COMPILED}, "eager")
    assert columns == {
        "startup_break_even_requests": [20.0, pytest.approx(700 / 3)],
        "reference_break_even_requests": [None, 300.0],
    }
    assert break_even({"eager": EAGER}, None)["reference_break_even_requests"] == [None]


def test_the_summary_has_them_from_its_own_figures(tmp_path: Path) -> None:
    summary = study_folder(tmp_path / "study").results().summary
    expected = summary["load_energy_j"] / summary["energy_per_request_j_mean"]
    assert list(summary["startup_break_even_requests"]) == pytest.approx(list(expected))
