"""Start a study, wait until a stage is at work, take something away, and look at what is left."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import pyarrow.parquet as pq
from harness import ROOT, Done, Pipeline

PATIENCE_S = 480
Found = TypeVar("Found")
WORKER = "llenergymeasure.measurement.worker"
REPLICA = "llenergymeasure.measurement.worker.replica"


@dataclass
class Running:
    """A `snakemake` call, in a session of its own as a terminal's foreground job is."""

    pipeline: Pipeline
    process: subprocess.Popen[bytes]

    @property
    def jobs(self) -> set[str]:
        """Rules that this call runs, from Snakemake's own table, without those that do no work."""
        return set(Done(0, self.output).jobs) - {"all", "total"}

    @property
    def output(self) -> str:
        return (self.pipeline.directory / "out.log").read_text(encoding="utf-8", errors="replace")

    def tree(self) -> list[psutil.Process]:
        """Snakemake and everything that it, or what it started, has started."""
        try:
            snakemake = psutil.Process(self.process.pid)
            return [snakemake, *snakemake.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def find(self, name: str) -> list[psutil.Process]:
        """Pythons of the tree that run a stage's script (`measure`), or whose command names something.

        Not the shell that starts one, nor what one has just forked: these have its name in their commands too.
        """
        wanted = name if "." in name else f".{name}.py"
        commands = {process: command_of(process) for process in self.tree()}
        pythons = [
            process
            for process, command in commands.items()
            if is_python(command) and any(wanted in part for part in command)
        ]
        pids = {process.pid for process in pythons}
        return [process for process in pythons if parent_of(process) not in pids]

    def wait_for(self, what: Callable[[], Found]) -> Found:
        end = time.monotonic() + PATIENCE_S
        while not (value := what()):
            assert time.monotonic() < end, self.output
            assert self.process.poll() is None, self.output
            time.sleep(0.05)
        return value

    def wait_for_process(self, name: str) -> psutil.Process:
        return self.wait_for(lambda: self.find(name))[0]


@contextmanager
def started(pipeline: Pipeline, *arguments: str, **environment: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(pipeline.directory), "--cores", "2", "--configfile", "study.yaml", *arguments]
    with (pipeline.directory / "out.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=pipeline.directory,
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # What a shell starts in the background ignores Ctrl-C, and so would its children; a terminal's does not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        yield Running(pipeline, process)
    finally:
        for left in still_there(pipeline):
            left.kill()
        process.wait()


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def parent_of(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def is_python(command: list[str]) -> bool:
    return bool(command) and Path(command[0]).name.startswith("python")


def still_there(pipeline: Pipeline) -> list[psutil.Process]:
    """Processes that work in the study's folder, whoever their parent is by now."""
    processes = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(pipeline.directory) and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
        except (psutil.Error, OSError):
            continue
    return processes


def assert_all_end(pipeline: Pipeline, *, within_s: float = 30) -> None:
    end = time.monotonic() + within_s
    while left := still_there(pipeline):
        assert time.monotonic() < end, [command_of(process) for process in left]
        time.sleep(0.1)


def assert_whole(pipeline: Pipeline) -> None:
    """Every file that the next call would take for a result can be read to its end."""
    begun = {
        base64.b64decode(path.name.replace("-", "+").replace("_", "/")).decode()
        for path in (pipeline.directory / ".snakemake/incomplete").glob("*")
    }
    for path in pipeline.results().rglob("*"):
        name = path.relative_to(pipeline.directory)
        hidden = any(part.startswith(".") for part in name.parts)
        if not path.is_file() or hidden or path.suffix == ".tmp" or str(name) in begun:
            continue
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".jsonl":
            text = path.read_text(encoding="utf-8")
            assert not text or text.endswith("\n"), name
            for line in text.splitlines():
                json.loads(line)
        elif path.suffix == ".parquet":
            pq.read_table(path)


def journalled(pipeline: Pipeline, depth: str) -> dict[str, dict[str, object]]:
    """Records in journals by experiment. depth: `*` those of warm-ups, `*/*` those of replicates."""
    lines = [
        line
        for path in (pipeline.results() / "sessions").glob(f"{depth}/.journal/*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
        if line.endswith("\n")
    ]
    records = [json.loads(line)["record"] for line in lines]
    return {record["experiment_id"]: record for record in records}


def at_work(running: Running, stage: str) -> dict[str, dict[str, object]]:
    """Wait until a stage is in the middle of its work; what it has kept so far."""
    running.wait_for_process(stage)
    if stage != "aggregate":  # it takes a moment only
        running.wait_for(lambda: f"\n{stage} · " in running.output)
    if stage not in ("warmup", "measure"):
        return {}
    depth = "*/*" if stage == "measure" else "*"
    running.wait_for(lambda: journalled(running.pipeline, depth))
    return journalled(running.pipeline, depth)


def interrupt(running: Running, how: str, target: psutil.Process | None = None) -> None:
    """ctrl-c, hang-up: what a terminal sends; preempted: SIGTERM to all at once, the deepest first, as a cluster
    does; snakemake: SIGKILL; anything else: SIGKILL of `target`.
    """
    if how in ("ctrl-c", "hang-up"):
        os.killpg(running.process.pid, signal.SIGINT if how == "ctrl-c" else signal.SIGHUP)
    elif how == "preempted":
        for process in reversed(running.tree()):
            process.terminate()
    elif how == "snakemake":
        running.process.kill()
    else:
        assert target is not None
        target.kill()
