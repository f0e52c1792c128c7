"""What the report says of failures, doubts, warnings, evidence and unknown figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

from results.page_reader import page_from_folder, read_page
from results.record_changes import fail, ignore, warn
from results.study_folder import study_folder

from llenergymeasure.records.findings import FINDINGS
from llenergymeasure.results.report.page import render

ALL_REPLICATES = (1, 2, 3)


def test_invalid_and_failed_configurations_are_listed_and_not_ranked(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    for replicate in ALL_REPLICATES:
        folder.change(0, replicate, ignore("pytorch.batch_size", "4 batches of 2 rows"))
        folder.change(1, replicate, fail("load", "ImportError", "flash attention is not installed"))
    folder.change(2, 2, fail("measure", "WorkerLost", "killed by signal 9"))
    page = page_from_folder(folder)
    ranked = [row[1] for row in page.section("ranking").table() if len(row) > 1][1:]
    assert len(ranked) == 2
    assert [row for row in ranked if "2 OF 3 REPLICATES" in row] == [row for row in ranked if "batch_size1" in row]
    assert page.section("failures").table()[1:] == [
        [
            "attn_implementationsdpa batch_size1INVALID",
            "1, 2, 3",
            "setting-ignored",
            "pytorch.batch_size = 1 did not take effect (4 batches of 2 rows)"
            f"What to do: {FINDINGS['setting-ignored'].advice}.",
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
    assert len(page.section("setups").all("span", class_="unknown")) == 2 * 7


def test_unknown_figures_carry_their_reason(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")

    def without_decode(record: dict) -> None:
        record["metrics"].update(prefill_energy_j=None, decode_energy_j=None)
        record["unknown"].update(dict.fromkeys(("prefill_energy_j", "decode_energy_j"), "the prefill window was empty"))

    for replicate in ALL_REPLICATES:
        folder.change(2, replicate, without_decode)
    page = page_from_folder(folder)
    rows = page.section("unknown").table()
    assert ["the prefill window was empty", "Prefill energy, Decode energy"] in [row[:2] for row in rows]
    assert "phases unknown" in page.section("phases").text
    for name in ("ranking", "phases", "memory", "latencies"):
        assert not re.search(r"None|\bnan\b|NaN", page.section(name).text)


def test_loads_warnings_and_environment(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.change(0, 1, warn("outputs-vary", "1 of 4 vary"))
    folder.change(0, 2, warn("outputs-vary", "2 of 4 vary"))
    folder.change(1, 2, warn("recompiled", "1 frame"))
    folder.change(2, 3, lambda record: record["environment"].update(git_commit="cd" * 20))
    page = page_from_folder(folder)
    advice = FINDINGS["outputs-vary"].advice
    assert page.section("warnings").table()[1:] == [
        ["outputs-vary", "2", "1", "1 of 4 varyand 1 other message, in measurements.jsonl", advice],
        # A code of another version has no advice.
        ["recompiled", "1", "1", "1 frame", ""],
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
    details = page_from_folder(folder).section("evidence").all("details")
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
