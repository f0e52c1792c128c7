"""What a message takes from outside: one line, nothing that steers a terminal, nothing that a record cannot hold."""

from __future__ import annotations

import pytest

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.records.validity import Failure


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n  the gist \nthe rest", "the gist"),
        ("for field 'hidden_size':\n    expected int, got str\nmore", "for field 'hidden_size': expected int, got str"),
        ("a file named bad\udc80.txt", "a file named bad .txt"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("", "ValueError"),
    ],
)
def test_the_first_line_of_an_error_fits_a_terminal_and_a_record(text: str, line: str) -> None:
    reason = first_line(ValueError(text))
    assert reason == line
    failure = Failure.from_plain({"stage": "load", "class": "ValueError", "reason": reason, "log": "log"})
    assert Failure.model_validate_json(failure.model_dump_json(by_alias=True)) == failure
