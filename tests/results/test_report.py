"""What the report says, against what the study holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from page_reader import Node, read_page
from study_folder import ESTIMATED, MEASURED, StudyFolder, doubt, fail, ignore, study_folder, warn, without_energy

from llenergymeasure.records.metrics import METRICS
from llenergymeasure.results.report.figures.axis import linear_axis
from llenergymeasure.results.report.page import render, write_report

ALL_REPLICATES = (1, 2, 3)
NASTY = "</script><script>document.title='pwned'</script><img src=x onerror=alert(1)>\"'&{{7*7}}"


def page_of(folder: StudyFolder) -> Node:
    return read_page(render(folder.results()))


def test_the_ranking_shows_mean_interval_and_number(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    table = page_of(folder).section("ranking").table()
    head, group, *rows = table
    assert head[2:5] == [
        "Energy per output tokenmJ/output token",
        "Net energy per output tokenmJ/output token",
        "Throughputoutput tokens/s",
    ]
    assert group == ["ESTIMATED Energy estimated by codecarbon; standard uncertainty of this estimate: 50 %"]
    summary = folder.read().summary.sort_values("energy_per_output_token_j_mean")
    assert len(rows) == len(summary) == 4
    for place, (row, (_, true)) in enumerate(zip(rows, summary.iterrows(), strict=True), start=1):
        assert row[0] == str(place)
        axes = f"{true['pytorch.attn_implementation']} batch_size{true['pytorch.batch_size']}"
        assert row[1] == f"attn_implementation{axes}"
        for column, metric, factor in ((2, "energy_per_output_token_j", 1e3), (4, "throughput_output_tokens_per_s", 1)):
            shown, half = (float(text.replace(" ", "")) for text in row[column].replace(" ", "").split("±"))
            mean = true[f"{metric}_mean"] * factor
            assert shown == pytest.approx(mean, rel=0.01)
            assert half == pytest.approx(true[f"{metric}_ci95_high"] * factor - mean, rel=0.2)
        assert row[-2] == "3"


def test_the_front_of_the_figure_is_the_front_of_the_means(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    # The fastest is made the dearest, so that the front has two ends.
    for replicate in ALL_REPLICATES:
        folder.change(1, replicate, lambda record: record["metrics"].update(energy_per_output_token_j=50.0))
    points = page_of(folder).section("energy-throughput").all("g", class_="point")
    points = [point for point in points if point.all("title")]
    assert len(points) == 4
    titles = {point.all("title")[0].text: "best" in (point.attributes["class"] or "") for point in points}
    on_front = sorted(title.split(" 1")[0].split(" 9")[0] for title, best in titles.items() if best)
    assert len(on_front) == 2
    assert on_front[0].startswith("attn_implementation=eager batch_size=4")
    assert on_front[1].startswith("attn_implementation=sdpa batch_size=4")


def test_an_estimate_never_looks_like_a_measurement(tmp_path: Path) -> None:
    page = page_of(study_folder(tmp_path / "study"))
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
    measured = page_of(study_folder(tmp_path / "other", source=MEASURED))
    assert "ESTIMATED" not in measured.text
    assert not measured.all("td", class_="guess")
    assert not measured.section("phases").all("rect", class_="hatch")


def test_sources_are_not_ranked_in_one_list(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    for replicate in ALL_REPLICATES:
        folder.change(0, replicate, lambda record: record.update(energy_source=ESTIMATED))
        folder.change(3, replicate, without_energy("NVML is not there"))
    page = page_of(folder)
    assert "Energy comes from 2 different sources" in page.text
    numbers = [row[0] for row in page.section("ranking").table()[1:]]
    assert [number for number in numbers if len(number) == 2] == ["A1", "A2", "B1", "C1"]
    assert len(page.section("energy-throughput").all("figure")) == 2
    unknown = page.section("ranking").all("span", class_="unknown")
    assert len(unknown) == 3
    assert "NVML is not there" in page.section("unknown").text


def test_invalid_and_failed_configurations_are_listed_and_not_ranked(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    for replicate in ALL_REPLICATES:
        folder.change(0, replicate, ignore("pytorch.batch_size", "4 batches of 2 rows"))
        folder.change(1, replicate, fail("load", "ImportError", "flash attention is not installed"))
    folder.change(2, 2, fail("measure", "WorkerLost", "killed by signal 9"))
    page = page_of(folder)
    ranked = [row[1] for row in page.section("ranking").table() if len(row) > 1][1:]
    assert len(ranked) == 2
    assert [row for row in ranked if "2 OF 3 REPLICATES" in row] == [row for row in ranked if "batch_size1" in row]
    assert page.section("failures").table()[1:] == [
        [
            "attn_implementationsdpa batch_size1INVALID",
            "1, 2, 3",
            "setting-ignored",
            "pytorch.batch_size = 1 did not take effect (4 batches of 2 rows)",
            "–",
        ],
        [
            "attn_implementationsdpa batch_size4FAILED",
            "1, 2, 3",
            "load",
            "ImportError: flash attention is not installed",
            "results/logs/load.log",
        ],
        [
            "attn_implementationeager batch_size1FAILED",
            "2",
            "measure",
            "WorkerLost: killed by signal 9",
            "results/logs/measure.log",
        ],
    ]
    assert "ignored" in [badge.text for badge in page.section("evidence").all("span", class_="badge")]


def test_a_study_in_which_everything_failed_has_a_report(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    for experiment in range(4):
        for replicate in ALL_REPLICATES:
            folder.change(experiment, replicate, fail("load", "ImportError", "no attention"))
    folder.write()
    for path in folder.setups():
        record = json.loads(path.read_text("utf-8"))
        for name in ("load_s", "energy", "memory", "compile", "evidence"):
            del record[name]
        failure = {"stage": "load", "class": "ImportError", "reason": "no attention", "log": "x.log"}
        path.write_text(json.dumps({**record, "status": "failed", "failure": failure}), "utf-8")
    page = read_page(render(folder.aggregate().read()))
    assert "Nothing could be measured" in page.text
    assert not page.all("section", id="ranking")
    assert len(page.section("failures").table()) == 5
    assert len(page.section("setups").all("span", class_="unknown")) == 2 * 6


def test_one_replicate_shows_no_interval_anywhere(tmp_path: Path) -> None:
    page = page_of(study_folder(tmp_path / "study", replicates=1))
    assert "One replicate says nothing about the spread" in page.text
    assert not page.section("ranking").all("span", class_="spread")
    assert not page.all("line", class_="whisker")
    assert not page.section("energy-throughput").all("path", class_="interval")
    assert "one replicate, no interval" in page.text


def test_unknown_figures_carry_their_reason(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")

    def without_decode(record: dict) -> None:
        record["metrics"].update(prefill_energy_j=None, decode_energy_j=None)
        record["unknown"].update(dict.fromkeys(("prefill_energy_j", "decode_energy_j"), "the prefill window was empty"))

    for replicate in ALL_REPLICATES:
        folder.change(2, replicate, without_decode)
    page = page_of(folder)
    rows = page.section("unknown").table()
    assert ["the prefill window was empty", "Prefill energy, Decode energy"] in [row[:2] for row in rows]
    assert "phases unknown" in page.section("phases").text
    for name in ("ranking", "phases", "memory", "latencies"):
        assert not re.search(r"None|\bnan\b|NaN", page.section(name).text)


def test_a_phase_below_noise_is_not_drawn(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", source=MEASURED)
    for replicate in ALL_REPLICATES:
        folder.change(0, replicate, lambda record: record["metrics"].update(decode_energy_j=-0.5))
    phases = page_of(folder).section("phases")
    assert "below noise" in phases.text
    assert len(phases.all("rect", class_="fill-whole")) == 1
    assert all(not (rect.attributes["width"] or "").startswith("-") for rect in phases.all("rect"))


def test_loads_warnings_and_environment(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.change(0, 1, warn("window-not-stable", "passes vary by 12 %"))
    folder.change(0, 2, warn("window-not-stable", "passes vary by 14 %"))
    folder.change(1, 2, warn("recompiled", "1 frame"))
    folder.change(2, 3, lambda record: record["environment"].update(git_commit="cd" * 20))
    page = page_of(folder)
    assert page.section("warnings").table()[1:] == [
        ["window-not-stable", "2", "1", "passes vary by 12 %and 1 other message, in measurements.jsonl"],
        ["recompiled", "1", "1", "1 frame"],
    ]
    assert page.section("setups").table()[1] == [
        "attn_implementationsdpa",
        "2",
        "1.90",
        "51.3",
        "–",
        "–",
        "540",
        "1 120",
    ]
    names = {term.text: term for term in page.section("environment").all("dt")}
    assert "Git commit of the pipeline differs between runs" in names
    assert "CPU" in names
    assert "2.13.0+cpu" in page.section("environment").text
    assert "not installed" in page.section("environment").text


def test_evidence_shows_the_worst_of_the_replicates(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.change(3, 2, ignore("pytorch.attn_implementation", "attention layers of class Sdpa"))
    details = page_of(folder).section("evidence").all("details")
    (mine,) = (item for item in details if folder.ids[3] in item.all("summary")[0].text)
    assert mine.table()[1] == [
        "pytorch.attn_implementation",
        "eager",
        "eager / null (differs between replicates)",
        "attention layers of class Sdpa",
        "ignored",
    ]


def test_what_the_plan_knows_of_the_study_is_shown(tmp_path: Path) -> None:
    folder = study_folder(
        tmp_path / "study", matrix={"pytorch.batch_size": [1, 1], "pytorch.num_beams": [None, 2]}, invalid="skip"
    ).write()
    plan = json.loads((folder.root / "plan.json").read_text("utf-8"))
    plan["warnings"] = [{"path": "decoder.top_k", "message": "has no effect without sampling", "hint": "drop it"}]
    plan["skipped"] = [{"axes": {"pytorch.batch_size": 9}, "problems": [{"message": "too many"}]}]
    (folder.root / "plan.json").write_text(json.dumps(plan), "utf-8")
    text = read_page(render(folder.aggregate().read())).section("warnings").text
    assert "has no effect without sampling" in text
    assert "too many" in text
    assert "Listed twice and measured once" in text


def test_every_metric_is_defined_with_its_unit(tmp_path: Path) -> None:
    definitions = page_of(study_folder(tmp_path / "study")).section("definitions").text
    for metric in METRICS.values():
        assert metric.name in definitions
        assert metric.definition in definitions
        assert metric.unit in definitions


def test_text_from_outside_stays_text(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study").write()
    plan = json.loads((folder.root / "plan.json").read_text("utf-8"))
    for entry in plan["experiments"].values():
        entry["config"]["model"] = NASTY
        entry["axes"]["pytorch.attn_implementation"] += NASTY
    plan["warnings"] = [{"path": NASTY, "message": NASTY, "hint": NASTY}]
    (folder.root / "plan.json").write_text(json.dumps(plan), "utf-8")
    for path in folder.measurements():
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for line in lines:
            line["warnings"] = [{"code": NASTY, "message": NASTY}]
            line["environment"]["cpu"] = NASTY
            line["evidence"]["precision"]["observed"] = NASTY
            if line["experiment_id"] == folder.ids[0]:
                fail("load", NASTY, NASTY)(line)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    html = render(folder.aggregate().read())
    page = read_page(html)
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert "<img" not in html
    assert html.count("</script>") == 1
    assert "49" not in page.all("h1")[0].text
    assert NASTY.replace("  ", " ") in page.section("failures").text


def test_the_page_asks_nobody_for_anything(tmp_path: Path) -> None:
    html = render(study_folder(tmp_path / "study").results())
    page = read_page(html)
    for tag in ("link", "img", "iframe", "object", "base"):
        assert not page.all(tag)
    assert not page.all("script")[0].attributes
    assert "url(http" not in html
    assert "@import" not in html
    assert [
        link.attributes["href"] for link in page.all("a") if not (link.attributes["href"] or "").startswith("#")
    ] == []
    policy = next(meta.attributes["content"] or "" for meta in page.all("meta") if "content" in meta.attributes)
    assert policy.startswith("default-src 'none'")
    assert "'unsafe-inline'" not in policy.split("script-src", 1)[1]


def test_a_large_study_has_a_readable_page(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", matrix={"pytorch.batch_size": list(range(1, 121))}, replicates=1)
    page = page_of(folder)
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
    # The best comes first, whatever is left out.
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


def test_a_report_that_can_not_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    results = study_folder(tmp_path / "study").results()
    target = tmp_path / "report.html"
    write_report(results, target)
    before = target.read_text("utf-8")
    results.records.clear()
    with pytest.raises(KeyError):
        write_report(results, target)
    assert target.read_text("utf-8") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "study"]


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (3.1, 4.2), (0.0, 0.00023), (0.0, 1.31e9), (5.0, 5.0), (0.0, 0.0)]
)
def test_axes_hold_their_range_and_have_even_round_ticks(low: float, high: float) -> None:
    axis = linear_axis(low, high)
    assert axis.low <= low
    assert axis.high >= high
    assert 3 <= len(axis.ticks) <= 12
    steps = {round(after[0] - before[0], 9) for before, after in zip(axis.ticks, axis.ticks[1:], strict=False)}
    assert len(steps) == 1
    shown = [float(text.replace(" ", "")) for _, text in axis.ticks]
    for (fraction, _), value in zip(axis.ticks, shown, strict=True):
        assert value == pytest.approx(axis.low + fraction * (axis.high - axis.low), abs=(axis.high - axis.low) * 1e-6)
    assert all(re.fullmatch(r"-?[\d ]+(\.\d+)?", text) for _, text in axis.ticks)
