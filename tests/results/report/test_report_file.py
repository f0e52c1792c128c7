"""The report as a file: no text from outside becomes markup, it asks nobody, and it is whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from results.page_reader import read_page
from results.record_changes import fail
from results.study_folder import study_folder

from llenergymeasure.results.report.page import render, write_report

NASTY = "</script><script>document.title='pwned'</script><img src=x onerror=alert(1)>\"'&{{7*7}}"


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


def test_a_report_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    results = study_folder(tmp_path / "study").results()
    target = tmp_path / "report.html"
    write_report(results, target)
    before = target.read_text("utf-8")
    results.records.clear()
    with pytest.raises(KeyError):
        write_report(results, target)
    assert target.read_text("utf-8") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "study"]
