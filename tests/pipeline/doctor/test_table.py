"""The text of the table: narrow, with commands that can be copied, and a last line that sums it up."""

from __future__ import annotations

import pytest

from llenergymeasure.pipeline.doctor.table import WIDTH, Row, Status, render

COMMAND = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"


def test_lines_are_narrow_and_commands_are_whole() -> None:
    words = " ".join(["word"] * 40)
    text = render([Row("a thing", words, "warning", f"{words} `{COMMAND}` {words}")])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.startswith("warning  a thing             word word")
    assert any(COMMAND in line for line in text.splitlines())
    assert text.count("word") == 120


@pytest.mark.parametrize(
    ("statuses", "end"),
    [
        (["ok"], "nothing to do"),
        (["ok", "warning"], "1 warning: the study runs; read what they mean for its figures"),
        (["warning", "problem", "problem"], "2 problems: the study cannot run here as it is"),
    ],
)
def test_the_last_line_sums_up(statuses: list[Status], end: str) -> None:
    assert render([Row("x", "y", status) for status in statuses]).splitlines()[-1] == end


def test_a_name_from_outside_does_not_steer_the_terminal() -> None:
    assert "\x1b" not in render([Row("GPU 0", "Evil \x1b[2J board\nok       GPU 1", "ok")])
    assert len(render([Row("GPU 0", "Evil board\nok       GPU 1", "ok")]).splitlines()) == 3
