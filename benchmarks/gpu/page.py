"""The table in docs/energy.md of what was verified on which board, from benchmarks/gpu/*.json.

python -m benchmarks.gpu.page     (in the repository's root)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.document import FORMAT, read_json
from benchmarks.gpu.limits import LIMITS
from benchmarks.gpu.schedule import NOT_ASKED

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "energy.md"
BLOCK = re.compile(r"(<!-- generated: boards -->\n).*?(<!-- end -->)", re.DOTALL)
# A row with as many cells as the head.
NONE = "| none yet |" + " |" * (len(LIMITS) + 2)


class NotABoard(ValueError):
    """A file in the folder of the boards' documents proves nothing about a board; the message says why."""


def read_boards(folder: Path = HERE) -> list[dict[str, Any]]:
    """The documents of all boards, by name of their file; a partial one comes after the whole one of its board.

    Raises:
        NotABoard: one is a rehearsal, of another format, or names no board.
    """
    documents = []
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stem):
        content = read_json(path)
        if content.get("rehearsal") is not False:
            raise NotABoard(f"{path.name} is a rehearsal; delete it")
        if content.get("format") != FORMAT or not content.get("board"):
            raise NotABoard(f"{path.name} is not an acceptance of format {FORMAT}; run `make gpu-acceptance` again")
        documents.append(content)
    return documents


def table(boards: Sequence[Mapping[str, Any]]) -> str:
    """One row per file: the board, driver, date, and per limit the figure with its verdict."""
    head = ["board", "driver", "on", *(limit.name for limit in LIMITS)]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*rows, *([_row(board) for board in boards] or [NONE])])


def _row(board: Mapping[str, Any]) -> str:
    driver = (board["parts"].get("board") or {}).get("figures", {}).get("board", {}).get("driver", "-")
    verdicts = {verdict["name"]: verdict for verdict in board["verdicts"]}
    name = board["board"] if board.get("only") is None else f"{board['board']}, partial: {', '.join(board['only'])}"
    cells = [name, driver, board["taken"], *(_cell(verdicts.get(limit.name)) for limit in LIMITS)]
    return "| " + " | ".join(cells) + " |"


def _cell(verdict: Mapping[str, Any] | None) -> str:
    if verdict is None:
        return "-"
    if verdict["figure"] is None and (verdict.get("reason") or "").endswith(NOT_ASKED):
        return NOT_ASKED
    figure = "" if verdict["figure"] is None else f"{verdict['figure']:.3g} "
    return f"{figure}{verdict['verdict']}"


def with_fresh_table(text: str) -> str:
    """The page with the table made again."""
    return BLOCK.sub(lambda block: f"{block[1]}{table(read_boards())}\n{block[2]}", text)


def main() -> None:
    PAGE.write_text(with_fresh_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
