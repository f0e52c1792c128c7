"""A whole study of the eight experiments, from nothing to its result, with each tool."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks.peers import experiments
from benchmarks.peers.answers import (
    Answer,
    answer_from_optimum,
    answer_from_original,
    answer_from_record,
    answer_from_script,
    refusal,
)
from benchmarks.peers.environment import OPTIMUM_BENCHMARK, ORIGINAL, ZEUS, PeerUnavailable, driver, last_line
from benchmarks.peers.experiments import SETTINGS, Setting
from benchmarks.peers.inline import BARE, HARNESS, OPTIMUM, UNDER_ZEUS
from benchmarks.small_model import ROOT

Calls = Mapping[Setting, int]
WINDOW_S = 1.0
# Runs a command and prints the most resident memory, in KiB, of one of its processes.
WEIGHED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print("LARGEST", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
raise SystemExit(code)
"""


@dataclass(frozen=True)
class Cost:
    """A study of eight experiments: seconds in all, its answers, and the largest process in MiB."""

    seconds: float
    answers: Sequence[Answer]

    @property
    def fixed_s(self) -> float:
        """Seconds per experiment beyond its measured calls."""
        return (self.seconds - math.fsum(answer.generate_s for answer in self.answers)) / len(self.answers)

    @property
    def largest_process_mib(self) -> float:
        return max(answer.largest_process_mib or 0.0 for answer in self.answers)


def run_ours(model: Path) -> tuple[Cost, dict[Setting, int]]:
    """The study, and how many calls each experiment measured: its calibration decides that."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        study = {
            "study": "peer",
            "experiments": [experiments.ours(model, setting, folder) for setting in SETTINGS],
            "measurement": {"replicates": 1, "min_window_s": WINDOW_S},
        }
        (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
        command = [sys.executable, "-c", WEIGHED, *command, "--configfile", "study.yaml"]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            raise RuntimeError(done.stderr + done.stdout)
        records = {_setting(record): record for record in _records(folder) if record["status"] == "ok"}
    if set(records) != set(SETTINGS):
        raise RuntimeError(f"not every experiment was measured: {sorted(records)}")
    largest_mib = int(done.stdout.rsplit("LARGEST", 1)[1]) / 1024
    answers = [answer_from_record(records[setting], largest_mib) for setting in SETTINGS]
    return Cost(seconds, answers), {setting: records[setting]["calibration"]["measured_passes"] for setting in SETTINGS}


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for lines in folder.glob("results/peer/sessions/*/1/measurements.jsonl"):
        yield from map(json.loads, lines.read_text(encoding="utf-8").splitlines())


def _setting(record: Mapping[str, Any]) -> Setting:
    return record["config"]["pytorch"]["attn_implementation"], record["config"]["pytorch"]["batch_size"]


def peer_studies(model: Path, boards: Mapping[str, str]) -> dict[str, Callable[[Calls], Cost]]:
    """The peers' ways through the same experiments. A process per experiment, but for optimum-benchmark's own.

    Raises, each of them:
        PeerUnavailable: the peer does not run here.
    """

    def bare(calls: Calls) -> Cost:
        return _process_each(calls, lambda *each: _script(model, *each, "bare", boards=None))

    def under_zeus(calls: Calls) -> Cost:
        return _process_each(calls, lambda *each: _script(model, *each, "zeus", boards=boards))

    def harness(calls: Calls) -> Cost:
        return _process_each(calls, lambda *each: _original(model, *each))

    return {BARE: bare, UNDER_ZEUS: under_zeus, HARNESS: harness, OPTIMUM: lambda calls: _optimum(model, calls)}


def _process_each(calls: Calls, run: Callable[[Path, Setting, int], Answer]) -> Cost:
    with _folder() as folder:
        start = time.perf_counter()
        answers = [run(folder, setting, count) for setting, count in calls.items()]
        return Cost(time.perf_counter() - start, answers)


def _script(
    model: Path, folder: Path, setting: Setting, count: int, kind: str, *, boards: Mapping[str, str] | None
) -> Answer:
    with driver(ZEUS, folder, kind, boards=boards) as process:
        return answer_from_script(process.run(experiments.script(model, setting, count)))


def _original(model: Path, folder: Path, setting: Setting, count: int) -> Answer:
    with driver(ORIGINAL, folder) as process:
        return answer_from_original(process.run(experiments.original(model, setting, count, folder)))


def _optimum(model: Path, calls: Calls) -> Cost:
    with _folder() as folder:
        start = time.perf_counter()
        with driver(OPTIMUM_BENCHMARK, folder, "process") as process:
            answers = [
                answer_from_optimum(process.run({**experiments.script(model, setting, count), "everything": True}))
                for setting, count in calls.items()
            ]
        return Cost(time.perf_counter() - start, answers)


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def why_refused(model: Path) -> str | None:
    """What `llem run` of the llenergymeasure on PyPI says where it does not measure here; None where it does."""
    try:
        command = [str(ORIGINAL.python().with_name("llem")), "run", "study.yaml", "--output", "results"]
    except PeerUnavailable as reason:
        return str(reason)
    with _folder() as folder:
        study = {
            "study_name": "peer",
            "study_execution": {"n_cycles": 1},
            "experiments": [experiments.original(model, SETTINGS[0], 1, folder)],
        }
        (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    reason = refusal(done.stdout + done.stderr)
    if reason is None and done.returncode != 0:
        return last_line(done.stderr or done.stdout)
    return reason


def zeus_without_boards(model: Path) -> str:
    """What a window of its monitor gives where nothing is simulated for it."""
    try:
        with _folder() as folder:
            return _script(model, folder, SETTINGS[0], 1, "zeus", boards=None).energy
    except PeerUnavailable as reason:
        return str(reason)
