"""What the report says, against what the study holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from results.made_up_run import ESTIMATED
from results.page_reader import page_from_folder, read_page
from results.record_changes import doubt, fail, ignore, warn, without_energy
from results.study_folder import MEASURED, study_folder

from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.report.page import render

ALL_REPLICATES = (1, 2, 3)


def test_the_ranking_shows_mean_interval_and_number(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    table = page_from_folder(folder).section("ranking").table()
    head, group, *rows = table
    assert head[2:6] == [
        "Lengthstokens",
        "Energy per output tokenJ/output token",
        "Energy per requestJ/request",
        "Net energy per output tokenJ/output token",
    ]
    assert group == ["MEASURED Energy measured by nvml-total-energy, of cpu; standard uncertainty of this meter: 2.0 %"]
    summary = folder.read().summary.sort_values("energy_per_output_token_j_mean")
    assert len(rows) == len(summary) == 4
    runs = folder.read().runs.groupby("experiment_id").first().to_dict("index")
    for place, (row, (_, true)) in enumerate(zip(rows, summary.iterrows(), strict=True), start=1):
        assert row[0] == str(place)
        axes = f"{true['pytorch.attn_implementation']} batch_size{true['pytorch.batch_size']}"
        assert row[1] == f"attn_implementation{axes}"
        for column, metric, factor in ((3, "energy_per_output_token_j", 1), (6, "throughput_output_tokens_per_s", 1)):
            shown, half = (float(text.replace(" ", "")) for text in row[column].replace(" ", "").split("±"))
            mean = true[f"{metric}_mean"] * factor
            assert shown == pytest.approx(mean, rel=0.01)
            assert half == pytest.approx(true[f"{metric}_ci95_high"] * factor - mean, rel=0.2)
        run = runs[true["experiment_id"]]
        lengths = [run["input_tokens"] / run["requests"], run["output_tokens"] / run["requests"]]
        assert [float(text) for text in row[2].split("→")] == pytest.approx(lengths, rel=0.01)
        assert row[-2] == "3"


def test_the_front_of_the_figure_is_the_front_of_the_means(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    # The fastest is made the dearest, so that the front has two ends.
    for replicate in ALL_REPLICATES:
        folder.change(1, replicate, lambda record: record["metrics"].update(energy_per_output_token_j=50.0))
    points = page_from_folder(folder).section("energy-throughput").all("g", class_="point")
    points = [point for point in points if point.all("title")]
    assert len(points) == 4
    titles = {point.all("title")[0].text: "best" in (point.attributes["class"] or "") for point in points}
    on_front = sorted(title.split(" 1")[0].split(" 9")[0] for title, best in titles.items() if best)
    assert len(on_front) == 2
    assert on_front[0].startswith("attn_implementation=eager batch_size=4")
    assert on_front[1].startswith("attn_implementation=sdpa batch_size=4")


def test_an_estimate_never_looks_like_a_measurement(tmp_path: Path) -> None:
    page = page_from_folder(study_folder(tmp_path / "study"))
    assert "Energy is estimated here, not measured" in page.text
    assert not page.all("span", class_="measured")
    for name in ("energy-throughput", "phases"):
        figure = page.section(name)
        assert figure.all("span", class_="estimated")
        assert "ESTIMATED energy" in " ".join(text.text for text in figure.all("text"))
    assert len(page.section("phases").all("rect", class_="hatch")) == 8
    cells = page.section("ranking").all("td", class_="guess")
    assert len(cells) == 3 * 4
    assert page.section("setups").all("td", class_="guess")
    # Nothing is said of its error, in no table.
    assert not [cell.text for cell in page.all("td", class_="guess") if "±" in cell.text]
    assert "how far it is from the true value is not known" in page.section("ranking").text
    assert "Uncertainty budget" not in page.section("precision").text
    measured = page_from_folder(study_folder(tmp_path / "other", source=MEASURED))
    assert "ESTIMATED" not in measured.text
    assert not measured.all("td", class_="guess")
    assert not measured.section("phases").all("rect", class_="hatch")


def test_sources_are_not_ranked_in_one_list(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    for replicate in ALL_REPLICATES:
        folder.change(0, replicate, lambda record: record.update(energy_source=ESTIMATED))
        folder.change(3, replicate, without_energy("NVML is not there"))
    page = page_from_folder(folder)
    assert "Energy comes from 2 different sources" in page.text
    numbers = [row[0] for row in page.section("ranking").table()[1:]]
    assert [number for number in numbers if len(number) == 2] == ["A1", "A2", "B1", "C1"]
    assert len(page.section("energy-throughput").all("figure")) == 2
    unknown = page.section("ranking").all("span", class_="unknown")
    assert len(unknown) == 3
    assert "NVML is not there" in page.section("unknown").text


def test_one_replicate_shows_no_interval_anywhere(tmp_path: Path) -> None:
    page = page_from_folder(study_folder(tmp_path / "study", replicates=1))
    assert "One replicate says nothing about the spread" in page.text
    assert not page.section("ranking").all("span", class_="spread")
    assert not page.all("line", class_="whisker")
    assert not page.section("energy-throughput").all("path", class_="interval")
    assert "one replicate, no interval" in page.text


def test_a_phase_below_noise_is_not_drawn(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    for replicate in ALL_REPLICATES:
        folder.change(0, replicate, lambda record: record["metrics"].update(decode_energy_j=-0.5))
    phases = page_from_folder(folder).section("phases")
    assert "below noise" in phases.text
    assert len(phases.all("rect", class_="fill-whole")) == 1
    assert all(not (rect.attributes["width"] or "").startswith("-") for rect in phases.all("rect"))


def test_every_metric_is_defined_with_its_unit(tmp_path: Path) -> None:
    definitions = page_from_folder(study_folder(tmp_path / "study")).section("definitions").text
    for metric in METRICS.values():
        assert metric.name in definitions
        assert metric.definition in definitions
        assert metric.unit in definitions


def test_a_large_study_has_a_readable_page(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", matrix={"pytorch.batch_size": list(range(1, 121))}, replicates=1)
    page = page_from_folder(folder)
    assert len(page.section("ranking").table()) == 122
    assert len(page.section("phases").all("tr")) == 41
    assert "80 more configurations are in summary.csv" in page.section("phases").text
    assert len(render(folder.read())) < 2_000_000


@pytest.mark.slow
def test_a_very_large_study_shows_the_first_of_each_table_and_says_where_the_rest_is(tmp_path: Path) -> None:
    matrix = {"cpu_threads": list(range(1, 211)), "pytorch.batch_size": [1, 2]}
    folder = study_folder(tmp_path / "study", matrix=matrix, replicates=2, source=MEASURED)
    folder.requests = 2
    for experiment in range(100, 350):
        folder.change(experiment, 1, warn("odd", f"odd in {experiment}"))
        folder.change(experiment, 1, doubt("odd", f"odd in {experiment}"))
    for experiment in range(120, 420):
        folder.change(experiment, 2, fail("measure", "OutOfMemoryError", f"out of memory in {experiment}"))
    last = len(folder.ids) - 1
    folder.change(last, 1, ignore("pytorch.batch_size", "it was 1"))
    results = folder.results()
    html = render(results)
    page = read_page(html)
    assert len(html) < 3_000_000
    ranking = page.section("ranking")
    assert len(ranking.table()) == 202
    assert "219 more configurations are not shown here: all are in summary.csv" in ranking.text
    # The best comes first, whatever is omitted.
    best = results.summary[results.summary["status"] != "invalid"].sort_values("energy_per_output_token_j_mean").iloc[0]
    assert ranking.table()[2][1].startswith(f"cpu_threads{best['cpu_threads']} batch_size{best['pytorch.batch_size']}")
    for name, rows, note in (
        ("same-output", 201, "220 more configurations"),
        ("setups", 201, "10 more setups"),
        ("failures", 201, "101 more failures"),
        ("suspect", 201, "50 more configurations"),
    ):
        assert len(page.section(name).tables()[-1]) == rows, name
        assert f"{note} are not shown here" in page.section(name).text, name
    # The one whose setting was ignored is the last of the study, and its evidence is there.
    assert len(page.section("evidence").all("summary")) >= 200
    assert folder.ids[last] in page.section("evidence").text
    assert "220 more configurations are not shown here: all are in measurements.jsonl" in page.section("evidence").text
