"""Carbon and money from joules and seconds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from results.page_reader import read_page
from results.record_changes import without_energy
from results.study_folder import MEASURED, StudyFolder, study_folder

from llenergymeasure.config import CostsConfig
from llenergymeasure.results.report.page import render

ALL = CostsConfig(
    grid_intensity_kg_per_kwh=0.4, pue=1.5, electricity_price_per_kwh=0.25, machine_price_per_hour=7.2, currency="EUR"
)
CARBON = "emissions_kg_per_million_output_tokens"


def folder_with(tmp_path: Path, costs: CostsConfig) -> StudyFolder:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    folder.costs = costs
    return folder


def test_the_figures_by_hand(tmp_path: Path) -> None:
    results = folder_with(tmp_path, ALL).results()
    for cost, figures in zip(results.costs.to_dict("records"), results.summary.to_dict("records"), strict=True):
        joules = figures["energy_per_output_token_j_mean"]
        # A million tokens at 1 J/token are 1e6/3.6e6 = 0.2778 kWh, half as much again for the building.
        assert cost[CARBON] == pytest.approx(joules / 3.6 * 1.5 * 0.4)
        assert cost["electricity_price_per_million_output_tokens"] == pytest.approx(joules / 3.6 * 1.5 * 0.25)
        # 7.2 an hour are 0.002 a second.
        seconds = 1e6 / figures["throughput_output_tokens_per_s_mean"]
        assert cost["machine_price_per_million_output_tokens"] == pytest.approx(0.002 * seconds)
        assert (cost["currency"], cost["grid_intensity_source"]) == ("EUR", "as stated in the study")


def test_intervals_are_those_of_energy_with_the_instrument_and_of_speed(tmp_path: Path) -> None:
    results = folder_with(tmp_path, ALL).results()
    cost, figures = results.costs.iloc[0], results.summary.iloc[0]
    relative = figures["energy_per_output_token_j_expanded95"] / figures["energy_per_output_token_j_mean"]
    assert relative > 0
    assert cost[f"{CARBON}_ci95_high"] == pytest.approx(cost[CARBON] * (1 + relative))
    assert cost[f"{CARBON}_ci95_low"] == pytest.approx(cost[CARBON] * (1 - relative))
    # The slowest it may be is the dearest it may be.
    slowest = figures["throughput_output_tokens_per_s_ci95_low"]
    assert cost["machine_price_per_million_output_tokens_ci95_high"] == pytest.approx(2e3 / slowest)
    assert cost["machine_price_per_million_output_tokens_ci95_low"] < cost["machine_price_per_million_output_tokens"]


def test_a_speed_of_zero_has_no_price_of_the_machine(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ALL)
    for replicate in (1, 2, 3):
        folder.change(0, replicate, lambda record: record["metrics"].update(throughput_output_tokens_per_s=0.0))
    prices = folder.results().costs["machine_price_per_million_output_tokens"]
    assert prices.isna().tolist() == [True, False, False, False]


def test_what_is_not_stated_is_neither_guessed_nor_shown(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, CostsConfig())
    results = folder.results()
    assert results.costs[[CARBON, "currency", "grid_intensity_source"]].isna().all().all()
    assert read_page(render(results)).all("section", id="costs") == []


def test_a_country_has_its_own_figure_and_source(tmp_path: Path) -> None:
    results = folder_with(tmp_path, CostsConfig(country_iso_code="DEU")).results()
    assert set(results.costs["grid_intensity_kg_per_kwh"]) == {0.38095}
    assert results.costs["grid_intensity_source"].str.contains("DEU, codecarbon .*, 2023").all()
    (note,) = [paragraph.text for paragraph in read_page(render(results)).section("costs").all("p")]
    assert "DEU, codecarbon" in note and "PUE 1" in note


def test_without_energy_there_is_no_carbon_but_a_price_of_the_machine(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ALL)
    for replicate in (1, 2, 3):
        folder.change(0, replicate, without_energy("NVML is not there"))
    results = folder.results()
    first = results.costs.iloc[0]
    assert pd.isna(first[CARBON]) and first["machine_price_per_million_output_tokens"] > 0
    rows = read_page(render(results)).section("costs").table()
    assert rows[0][2:] == [
        "Carbonkg CO₂e/million output tokens",
        "ElectricityEUR/million output tokens",
        "MachineEUR/million output tokens",
    ]
    assert ["unknown", "unknown"] in [row[2:4] for row in rows[1:]]
    assert len(rows) == 5
