"""One part of the acceptance, in a process of its own: it asks its questions and writes every answer at once.

python -m benchmarks.gpu.child MODULE [--rehearsal]     (the answers go to the file that the environment names)

A question that fails does not affect the others; a part that is killed leaves the answers it had. Exit code 0: every
question has an answer or cannot be asked here; 1: one failed.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu.document import write_json
from benchmarks.gpu.part_environment import FIGURES
from benchmarks.gpu.scale import BOARD, REHEARSAL, NotHere, Scale

Questions = Mapping[str, Callable[[Scale], Any]]
# Keys that mark a missing answer.
ERROR, NOT_HERE = "error", "not_here"


def main(arguments: list[str]) -> int:
    scale = REHEARSAL if "--rehearsal" in arguments else BOARD
    path = Path(os.environ[FIGURES])
    try:
        questions: Questions = importlib.import_module(f"benchmarks.gpu.{arguments[0]}").QUESTIONS
    except ImportError as error:  # a package that this machine lacks
        write_json(path, {"import": {ERROR: f"{type(error).__name__}: {error}"}})
        raise
    return ask(questions, scale, path)


def ask(questions: Questions, scale: Scale, path: Path) -> int:
    """Every answer by the name of its question, in `path`; the exit code."""
    answers: dict[str, Any] = {}
    failed = 0
    for name, question in questions.items():
        try:
            answers[name] = json.loads(json.dumps(question(scale), default=str, allow_nan=False))
        except NotHere as reason:
            answers[name] = {NOT_HERE: str(reason)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the other questions are still worth asking
            failed += 1
            answers[name] = {ERROR: f"{type(error).__name__}: {error}"}
            traceback.print_exc()
        write_json(path, answers)
        print(f"{name}: {json.dumps(answers[name])[:2000]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
