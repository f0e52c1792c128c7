"""The report in a real browser: figures are drawn, nothing runs that should not, nobody is asked for anything."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from results.page_reader import Node, read_page
from results.study_folder import study_folder

from llenergymeasure.results.report.page import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server that notes who asks: its address, and the paths asked for."""
    asked: list[str] = []

    class Note(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Note)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def browse(html: Path, profile: Path, *more: str) -> tuple[Node, str]:
    """The page after its script ran, and what the browser's console says."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--enable-logging=stderr",
            f"--user-data-dir={profile}",
            "--window-size=1280,900",
            "--virtual-time-budget=2000",
            "--dump-dom",
            *more,
            html.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return read_page(done.stdout), "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def with_probe(html: Path, script: str) -> Path:
    """A copy of the report with a script of the test's own, which the page's policy would refuse."""
    text = re.sub(r"<meta http-equiv=[^>]*>", "", html.read_text("utf-8"))
    probed = html.with_name("probed.html")
    probed.write_text(text.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    return probed


def test_figures_are_drawn_and_the_console_is_silent(tmp_path: Path) -> None:
    html = tmp_path / "report.html"
    write_report(study_folder(tmp_path / "study").results(), html)
    picture = tmp_path / "report.png"
    page, console = browse(html, tmp_path / "profile")
    assert console == ""
    for name, wanted in (("energy-throughput", 1), ("phases", 4), ("latencies", 12), ("memory", 4)):
        assert len(page.section(name).all("svg")) >= wanted, name
    browse(html, tmp_path / "second", f"--screenshot={picture}")
    assert picture.stat().st_size > 20_000


def test_everything_is_inside_the_page_and_visible(tmp_path: Path) -> None:
    html = tmp_path / "report.html"
    write_report(study_folder(tmp_path / "study").results(), html)
    probe = """
      const box = (node) => node.getBoundingClientRect();
      const plot = box(document.querySelector("svg.scatter"));
      const inside = (node) => {
        const b = box(node);
        const across = b.left >= plot.left - 1 && b.right <= plot.right + 1;
        return across && b.top >= plot.top - 1 && b.bottom <= plot.bottom + 1;
      };
      const bars = [...document.querySelectorAll("#phases rect.fill-decode, #memory rect.fill-peak")]
        .filter((node) => node.closest("td"));
      const drawn = [...document.querySelectorAll("svg.scatter *")].filter((node) => node.tagName !== "title");
      document.body.dataset.probe = JSON.stringify({
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        outside: drawn.filter((node) => !inside(node)).length,
        bars: bars.map((node) => Math.round(box(node).width)),
        points: document.querySelectorAll("svg.scatter .point").length,
      });
    """
    page, console = browse(with_probe(html, probe), tmp_path / "profile")
    assert console == ""
    layout = json.loads(page.all("body")[0].attributes["data-probe"] or "")
    assert layout["overflow"] == 0
    assert layout["outside"] == 0
    assert layout["points"] == 4
    assert len(layout["bars"]) == 8
    assert min(layout["bars"]) > 20


def test_a_click_on_a_head_sorts(tmp_path: Path) -> None:
    html = tmp_path / "report.html"
    write_report(study_folder(tmp_path / "study").results(), html)
    click = """
      const heads = [...document.querySelectorAll("#ranking th button")];
      const button = heads.find((node) => node.textContent === "Throughput");
      button.click();
    """
    page, _ = browse(with_probe(html, click), tmp_path / "profile")
    rows = [row for row in page.section("ranking").table() if len(row) > 1][1:]
    speeds = [float(row[6].split()[0]) for row in rows]
    assert speeds == sorted(speeds)
    assert [row[0] for row in rows] == ["4", "3", "2", "1"]


def test_markup_in_names_is_inert_and_nobody_is_asked(tmp_path: Path, listener: tuple[str, list[str]]) -> None:
    address, asked = listener
    nasty = (
        f"</script><script>fetch('{address}/script')</script><img src={address}/image onerror=document.title='pwned'>"
        f"<style>@import url({address}/style)</style><link rel=stylesheet href={address}/link>"
    )
    folder = study_folder(tmp_path / "study").write()
    plan = json.loads((folder.root / "plan.json").read_text("utf-8"))
    for entry in plan["experiments"].values():
        entry["config"]["model"] = nasty
        entry["axes"]["pytorch.attn_implementation"] += nasty
    (folder.root / "plan.json").write_text(json.dumps(plan), "utf-8")
    html = tmp_path / "report.html"
    write_report(folder.aggregate().read(), html)
    page, console = browse(html, tmp_path / "profile")
    assert console == ""
    assert asked == []
    assert page.all("title")[0].text == "study · energy, speed and memory"
    assert nasty in page.text
    # The listener does hear a page that asks.
    loud = tmp_path / "loud.html"
    loud.write_text(f"<html><body><img src={address}/image></body></html>", "utf-8")
    browse(loud, tmp_path / "other")
    assert asked == ["/image"]
