"""The acceptance of a board ends in time and leaves nothing behind, whatever its parts do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from benchmarks.gpu import processes
from benchmarks.gpu.document import Document
from benchmarks.gpu.parts import PARTS, choose_parts, not_asked_for, part_names
from benchmarks.gpu.processes import GRACE_S, VANISH_S
from benchmarks.gpu.schedule import CLOSING_S, Part, Schedule, allowance
from harness import ROOT

ANSWER = "import json, os; open(os.environ['LLENERGYMEASURE_ACCEPTANCE_FIGURES'], 'w').write(json.dumps({'a': 1}))\n"
HANG = "import time; time.sleep(600)\n"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
# A process in a session of its own, as the pipeline's worker is, that writes its id and outlives its parent.
WORKER = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open("worker.pid", "w").write(str(worker.pid))
"""


def part(name: str, program: str, *, limit_s: float = 20.0, expected_s: float = 1.0) -> Part:
    return Part(name, expected_s, limit_s, (sys.executable, "-S", "-c", program))


def run(folder: Path, *parts: Part, total_s: float = 60.0, only: list[str] | None = None) -> dict[str, Any]:
    """The document as it stands in the file at the end."""
    document = Document(folder, rehearsal=False, taken="2026-01-01", commit=None, only=only, total_s=total_s)
    environment = dict(os.environ)
    schedule = Schedule(document, total_s=total_s, begun_s=time.monotonic(), environment=environment, directory=folder)
    schedule.run(list(parts), document.write)
    content: dict[str, Any] = json.loads(document.path.read_text(encoding="utf-8"))
    return content


def alive(folder: Path) -> bool:
    """Whether the worker that a part started is still there, and no zombie."""
    status = Path("/proc", (folder / "worker.pid").read_text(), "status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_a_part_that_hangs_is_stopped_and_the_next_one_runs(tmp_path: Path) -> None:
    entries = run(tmp_path, part("hangs", ANSWER + HANG, limit_s=1.0), part("works", ANSWER))["parts"]
    assert entries["hangs"]["state"] == "stopped" and "killed after 1 s" in entries["hangs"]["reason"]
    assert entries["hangs"]["figures"] == {"a": 1}, "what it had answered is kept"
    assert 1.0 <= entries["hangs"]["seconds"] < 1.0 + GRACE_S
    assert entries["works"]["state"] == "done" and entries["works"]["figures"] == {"a": 1}


@pytest.mark.parametrize(
    "program", ["raise SystemExit(3)", "import os; os.abort()", "1 / 0", "import os, signal; os.kill(os.getpid(), 9)"]
)
def test_a_part_that_crashes_costs_the_next_one_nothing(tmp_path: Path, program: str) -> None:
    entries = run(tmp_path, part("crashes", ANSWER + program), part("works", ANSWER))["parts"]
    assert entries["crashes"]["state"] == "failed" and "exit code" in entries["crashes"]["reason"]
    assert entries["crashes"]["figures"] == {"a": 1}
    assert entries["works"]["state"] == "done"


def test_a_part_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    begun_s = time.monotonic()
    entries = run(tmp_path, part("deaf", DEAF + HANG, limit_s=1.0))["parts"]
    assert entries["deaf"]["state"] == "stopped"
    assert time.monotonic() - begun_s < 1.0 + GRACE_S + VANISH_S


@pytest.mark.parametrize(
    ("after", "state"), [("", "done"), (DEAF + HANG, "stopped"), ("raise SystemExit(1)", "failed")]
)
def test_a_worker_that_a_part_leaves_behind_is_killed(tmp_path: Path, after: str, state: str) -> None:
    entries = run(tmp_path, part("leaves", ANSWER + WORKER + after, limit_s=2.0))["parts"]
    assert entries["leaves"]["state"] == state
    assert "1 processes that it left behind were killed" in entries["leaves"]["reason"]
    assert not alive(tmp_path)


def test_it_ends_in_time_and_says_what_it_had_no_time_for(tmp_path: Path) -> None:
    total_s = CLOSING_S + GRACE_S + VANISH_S + 3.0
    begun_s = time.monotonic()
    parts = [part("hangs", DEAF + HANG, expected_s=3.0), part("next", ANSWER), part("last", ANSWER, expected_s=30.0)]
    entries = run(tmp_path, *parts, total_s=total_s)["parts"]
    assert time.monotonic() - begun_s < total_s
    assert [entries[name]["state"] for name in ("hangs", "next", "last")] == ["stopped", "no time left", "no time left"]
    assert "30 s on a board" in entries["last"]["reason"]


@pytest.mark.slow
def test_the_process_ends_in_time_even_where_its_own_work_hangs(tmp_path: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}, {str(ROOT / "tests")!r}]
from benchmarks.gpu import schedule
from test_schedule import ANSWER, HANG, WORKER, part, run
schedule.run_limited = lambda *_, **__: time.sleep(600)  # as where the kernel never gives a process back
total_s = {CLOSING_S + GRACE_S + VANISH_S + 2.0}
run(Path({str(tmp_path)!r}), part("first", ANSWER), part("second", ANSWER), total_s=total_s)
"""
    begun_s = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert done.returncode == 1
    assert time.monotonic() - begun_s < 20.0  # imports included
    content = json.loads((tmp_path / "unknown-board.json").read_text(encoding="utf-8"))
    assert {entry["state"] for entry in content["parts"].values()} == {"no time left"}


def test_the_file_is_written_after_each_part_and_named_by_the_board(tmp_path: Path) -> None:
    named = "import json, os; open(os.environ['LLENERGYMEASURE_ACCEPTANCE_FIGURES'], 'w').write("
    named += "json.dumps({'board': {'name': 'NVIDIA H100 80GB HBM3'}}))\n"
    listing = "import os; open('seen', 'w').write(' '.join(sorted(os.listdir('.'))))\n"
    run(
        tmp_path,
        part("first", ANSWER),
        part("second", listing + named),
        part("third", listing.replace("'seen'", "'later'")),
    )
    assert "unknown-board.json" in (tmp_path / "seen").read_text()
    assert "nvidia-h100-80gb-hbm3.json" in (tmp_path / "later").read_text()
    assert [path.name for path in tmp_path.glob("*.json")] == ["nvidia-h100-80gb-hbm3.json"]


def test_a_partial_run_is_written_to_a_file_of_its_own_and_says_what_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "unknown-board.json").write_text("of a whole run", encoding="utf-8")
    document = run(tmp_path, part("board", ANSWER), only=["board"], total_s=30.0)
    assert (document["only"], document["total_s"]) == (["board"], 30.0)
    assert (tmp_path / "unknown-board-partial.json").exists()
    assert (tmp_path / "unknown-board.json").read_text(encoding="utf-8") == "of a whole run"
    assert run(tmp_path, part("board", ANSWER))["only"] is None


def test_only_the_parts_that_were_asked_for_run_after_those_that_every_run_needs(tmp_path: Path) -> None:
    wheels = [tmp_path / "pydantic-1-py3-none-any.whl", tmp_path / "transformers-1-py3-none-any.whl"]
    only = part_names("sampler-cost, nvml-calls", wheels)
    names = [chosen.name for chosen in choose_parts(tmp_path, wheels, rehearsal=False, only=only)]
    assert names == ["install-packages", "install-library", "board", "nvml-calls", "sampler-cost"]
    assert not set(not_asked_for(only)) & set(names)
    assert {*not_asked_for(only), *only} == {name for name, *_ in PARTS}
    assert not_asked_for(None) == {}
    assert part_names("other-library", wheels) == ["board", "other-library"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "board,sampler"], "--only: 'sampler' is not a part; the parts are board, environment, "),
        (["--only", ""], "--only: '' is not a part"),
        (["--only", "other-library", "--no-wheels"], "make gpu-wheels"),
        (["--seconds", "3"], "at least"),
        (["--seconds", "nan"], "at least"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_one_line(options: list[str], said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_where_a_required_part_fails_nothing_that_follows_is_begun(tmp_path: Path) -> None:
    board = Part("board", 1.0, 20.0, (sys.executable, "-S", "-c", "raise SystemExit(1)"), required=True)
    entries = run(tmp_path, board, part("next", ANSWER))["parts"]
    assert (entries["next"]["state"], entries["next"]["figures"]) == ("not on this machine", {})
    assert entries["next"]["reason"] == "board failed"


SLOW_TORCH = (
    "import json, os, time\n"
    "answers = {{'board': {board}}}\n"
    "open(os.environ['LLENERGYMEASURE_ACCEPTANCE_FIGURES'], 'w').write(json.dumps(answers))\n"
    "time.sleep(600)\n"
)


@pytest.mark.parametrize(
    ("board", "next_one"),
    [({"name": "H100"}, "done"), ({"error": "no driver"}, "not on this machine"), ({}, "not on this machine")],
)
def test_a_board_that_answered_is_looked_at_though_torch_took_too_long(
    tmp_path: Path, board: dict[str, str], next_one: str
) -> None:
    command = (sys.executable, "-S", "-c", SLOW_TORCH.format(board=board))
    entries = run(tmp_path, Part("board", 1.0, 1.0, command, (), True, "board"), part("next", ANSWER))["parts"]
    assert (entries["board"]["state"], entries["next"]["state"]) == ("stopped", next_one)


def test_packages_that_cannot_be_installed_stop_what_needs_them(tmp_path: Path) -> None:
    wheels = [tmp_path / "broken-1-py3-none-any.whl", tmp_path / "tokenizers-1-py3-none-any.whl"]
    installs = [
        chosen for chosen in choose_parts(tmp_path, wheels, rehearsal=False) if chosen.name.startswith("install-")
    ]
    assert len(installs) == 2 and all(install.required for install in installs)


def test_the_board_gets_the_time_of_a_cold_disk() -> None:
    (board,) = [chosen for chosen in choose_parts(Path(), [], rehearsal=False) if chosen.required]
    assert (board.name, board.limit_s, board.enough) == ("board", 180, "board")
    assert allowance(choose_parts(Path(), [], rehearsal=False), 565) > 60


@pytest.mark.slow
def test_processes_that_cannot_be_read_do_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object) -> list[int]:
        time.sleep(600)
        return []

    monkeypatch.setattr(processes, "_marked", hang)  # /proc/PID/environ of a process that hangs in the driver
    begun_s = time.monotonic()
    entries = run(tmp_path, part("works", ANSWER), part("next", ANSWER))["parts"]
    assert {name: entry["state"] for name, entry in entries.items()} == {"works": "done", "next": "done"}
    assert time.monotonic() - begun_s < 3 * VANISH_S + 5.0


@pytest.mark.slow
def test_the_file_is_judged_before_anything_that_hangs_is_killed(tmp_path: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}, {str(ROOT / "tests")!r}]
from benchmarks.gpu import processes, schedule
from test_schedule import ANSWER, part, run
schedule.run_limited = lambda *_, **__: time.sleep(600)
processes._marked = lambda *_: time.sleep(600)
run(Path({str(tmp_path)!r}), part("first", ANSWER), total_s={CLOSING_S + GRACE_S + VANISH_S + 2.0})
"""
    begun_s = time.monotonic()
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 1
    assert time.monotonic() - begun_s < 20.0
    assert json.loads((tmp_path / "unknown-board.json").read_text(encoding="utf-8"))["parts"]["first"]


def test_a_part_gets_what_later_ones_do_not_need_at_the_least() -> None:
    lost_s = CLOSING_S + GRACE_S + VANISH_S
    parts = [part("a", "", limit_s=100, expected_s=40), part("b", "", limit_s=50, expected_s=30)]
    assert allowance(parts, 1000) == 100
    assert allowance(parts, lost_s + 90) == 90 - 15 - GRACE_S
    assert allowance(parts, lost_s + 50) == 40, "the more important part comes first"
    assert allowance(parts, lost_s + 25) == 25
    assert allowance(parts, lost_s + 19) == 0
