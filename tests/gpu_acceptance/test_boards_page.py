"""docs/energy.md says what was verified on which board, from the files under benchmarks/gpu/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.gpu.limits import LIMITS
from benchmarks.gpu.page import PAGE, NotABoard, read_boards, table, with_fresh_table


def document(**changes: Any) -> dict[str, Any]:
    verdicts = [{"name": limit.name, "figure": 0.01234, "verdict": "pass"} for limit in LIMITS]
    verdicts[1] |= {"figure": None, "verdict": "unknown"}
    parts = {"board": {"figures": {"board": {"driver": "580.1"}}}}
    head = {"format": 1, "rehearsal": False, "board": "NVIDIA H100", "taken": "2026-11-27"}
    return {**head, "verdicts": verdicts, "parts": parts, **changes}


def test_the_table_on_the_page_is_fresh() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "<!-- generated: boards -->" in text
    assert with_fresh_table(text) == text, "python -m benchmarks.gpu.page"


def test_a_board_is_a_row_with_its_figures(tmp_path: Path) -> None:
    (tmp_path / "nvidia-h100.json").write_text(json.dumps(document()), encoding="utf-8")
    row = table(read_boards(tmp_path)).splitlines()[-1]
    assert row.startswith("| NVIDIA H100 | 580.1 | 2026-11-27 | 0.0123 pass | unknown | 0.0123 pass |")
    assert row.count("|") == len(LIMITS) + 4


def test_a_partial_run_is_a_row_of_its_own_after_the_whole_one_and_says_so(tmp_path: Path) -> None:
    partial = document(only=["board", "nvml-calls"], taken="2026-11-28")
    partial["verdicts"] = [
        {"name": limit.name, "figure": None, "verdict": "unknown", "reason": "study: not asked for"} for limit in LIMITS
    ]
    partial["verdicts"][0] = {"name": LIMITS[0].name, "figure": 0.5, "verdict": "pass", "reason": None}
    (tmp_path / "nvidia-h100-partial.json").write_text(json.dumps(partial), encoding="utf-8")
    (tmp_path / "nvidia-h100.json").write_text(json.dumps(document()), encoding="utf-8")
    whole, part = table(read_boards(tmp_path)).splitlines()[2:]
    assert whole.startswith("| NVIDIA H100 | 580.1 | 2026-11-27 | 0.0123 pass |")
    assert part.startswith(
        "| NVIDIA H100, partial: board, nvml-calls | 580.1 | 2026-11-28 | 0.5 pass | not asked for |"
    )


def test_without_a_board_it_says_so(tmp_path: Path) -> None:
    lines = table(read_boards(tmp_path)).splitlines()
    assert lines[-1].startswith("| none yet |")
    assert lines[-1].count("|") == lines[0].count("|")


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"rehearsal": True}, "rehearsal"), ({"board": None}, "make gpu-acceptance"), ({"format": 0}, "format 1")],
)
def test_what_is_not_an_acceptance_of_a_board_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    (tmp_path / "a-board.json").write_text(json.dumps(document(**changes)), encoding="utf-8")
    with pytest.raises(NotABoard, match=rf"a-board\.json.*{said}"):
        read_boards(tmp_path)
