"""The parts one after the other, each with the time that is left for it, and the end in time whatever happens."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.child import ERROR, NOT_HERE
from benchmarks.gpu.document import Document, read_json
from benchmarks.gpu.part_environment import ENDS_IN, FIGURES
from benchmarks.gpu.processes import GRACE_S, VANISH_S, Ended, kill_all_within, run_limited

DONE, FAILED, STOPPED = "done", "failed", "stopped"
NO_TIME, ABSENT, NOT_ASKED = "no time left", "not on this machine", "not asked for"
# What all parts print, beside the JSON.
LOG = "acceptance.log"
# For verdicts, the table and the last write.
CLOSING_S = 2.0
# A part that gets less than this share of what it is expected to take is not begun.
LEAST_SHARE = 0.5
# What any part has to begin with: the end, and a command that must be killed, take all but a second of it.
LEAST_TOTAL_S = CLOSING_S + GRACE_S + VANISH_S + 1.0


@dataclass(frozen=True)
class Part:
    """A process of the acceptance.

    expected_s: what it takes on a board; limit_s: when it is killed, however much time is left
    path: folders that come first where Python looks for modules
    required: where it fails, nothing that follows is begun
    enough: the question whose answer suffices where the part was stopped for its time
    """

    name: str
    expected_s: float
    limit_s: float
    command: tuple[str, ...]
    path: tuple[Path, ...] = ()
    required: bool = False
    enough: str | None = None


def allowance(parts: Sequence[Part], left_s: float) -> float:
    """Seconds that the first of the parts may take, of those left for all of them; 0 where it is not worth beginning.

    The earlier part is the more important one: it gets what it is expected to take as long as there is time, and of
    what lies beyond that all but the least with which the later ones are begun.
    """
    first, later = parts[0], parts[1:]
    usable_s = left_s - CLOSING_S - GRACE_S - VANISH_S
    spare_s = usable_s - sum(LEAST_SHARE * part.expected_s + GRACE_S for part in later)
    allowed_s = min(first.limit_s, usable_s, max(spare_s, first.expected_s))
    return allowed_s if allowed_s >= LEAST_SHARE * first.expected_s else 0.0


class Schedule:
    """Runs the parts. `finish` is called once, at the end or when the time is over."""

    def __init__(
        self, document: Document, *, total_s: float, begun_s: float, environment: Mapping[str, str], directory: Path
    ) -> None:
        self._document = document
        self._end_s = begun_s + total_s
        self._environment = environment
        self._directory = directory
        self._lock = threading.Lock()

    def run(self, parts: Sequence[Part], finish: Callable[[], None]) -> None:
        """Every part, then `finish`. Where this thread hangs, another one ends the process in time, with code 1."""

        def give_up() -> None:
            with self._lock:
                for part in parts:
                    if part.name not in self._document.content["parts"]:
                        self._document.keep(part.name, entry_without_figures(NO_TIME, "the time was over"))
                finish()
                kill_all_within(VANISH_S / 2)
                os._exit(1)

        watchdog = threading.Timer(self._end_s - CLOSING_S / 2 - time.monotonic(), give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            missing: str | None = None
            for place, part in enumerate(parts):
                if missing is not None:
                    entry = entry_without_figures(ABSENT, missing)
                else:
                    entry = self._run(part, allowance(parts[place:], self._end_s - time.monotonic()))
                    if part.required and not _suffices(part, entry):
                        missing = f"{part.name} {entry['state']}"
                with self._lock:
                    self._document.keep(part.name, entry)
                said = f"{part.name}: {entry['state']} after {entry['seconds']:.1f} s  {entry['reason'] or ''}"
                print(said.rstrip(), flush=True)
        finally:
            kill_all_within(VANISH_S)  # whatever an interrupt left running
        with self._lock:
            watchdog.cancel()
            finish()

    def _run(self, part: Part, allowed_s: float) -> dict[str, Any]:
        if allowed_s <= 0:
            return entry_without_figures(NO_TIME, f"it takes {part.expected_s:g} s on a board")
        folder = self._document.folder
        figures = folder / f"{part.name}.figures.json"
        figures.unlink(missing_ok=True)
        log = folder / LOG
        with log.open("a", encoding="utf-8") as output:
            output.write(f"\n==== {part.name}, at most {allowed_s:.0f} s ====\n")
        variables = {FIGURES: str(figures), ENDS_IN: f"{allowed_s:.1f}"}
        ended = run_limited(
            part.command,
            limit_s=allowed_s,
            log=log,
            environment={**self._environment, **variables, **_python_path(part, self._environment)},
            directory=self._directory,
        )
        answers = read_json(figures)
        figures.unlink(missing_ok=True)
        state, reason = _judge(ended, answers, allowed_s)
        return {**entry_without_figures(state, reason), "seconds": round(ended.seconds, 2), "figures": answers}


def _judge(ended: Ended, answers: Mapping[str, Any], allowed_s: float) -> tuple[str, str | None]:
    """The part's state and what is to be said of it."""
    errors = [f"{name}: {answer[ERROR]}" for name, answer in answers.items() if ERROR in _mapping(answer)]
    absent = [answer[NOT_HERE] for answer in answers.values() if NOT_HERE in _mapping(answer)]
    state, reasons = DONE, errors
    if ended.code is None:
        state, reasons = STOPPED, [f"killed after {allowed_s:.0f} s", *errors]
    elif ended.code != 0:
        state, reasons = FAILED, errors or [f"ended with exit code {ended.code}; see {LOG}"]
    elif answers and len(absent) == len(answers):
        state, reasons = ABSENT, sorted(set(absent))
    if ended.left_behind:
        reasons = [*reasons, f"{ended.left_behind} processes that it left behind were killed"]
    return state, "; ".join(reasons) or None


def _suffices(part: Part, entry: Mapping[str, Any]) -> bool:
    """Whether what needs the part can begin."""
    if entry["state"] == STOPPED and part.enough is not None:
        answer = _mapping(entry["figures"].get(part.enough))
        return bool(answer) and ERROR not in answer and NOT_HERE not in answer
    return bool(entry["state"] == DONE)


def entry_without_figures(state: str, reason: str | None) -> dict[str, Any]:
    """What the document says of a part that has no figures."""
    return {"state": state, "reason": reason, "seconds": 0.0, "figures": {}}


def _mapping(answer: Any) -> Mapping[str, Any]:
    return answer if isinstance(answer, Mapping) else {}


def _python_path(part: Part, environment: Mapping[str, str]) -> dict[str, str]:
    folders = [*map(str, part.path), *filter(None, [environment.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(folders)} if folders else {}
