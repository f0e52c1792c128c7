"""optimum-benchmark in a virtual environment of its own, in .bench/, made on first use and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.small_model import BENCH

PINS = Path(__file__).with_name("optimum_benchmark.txt")
DRIVER = Path(__file__).with_name("optimum_driver.py")
PACKAGES = ("optimum-benchmark", "transformers", "torch", "codecarbon")
VERSIONS = """
import sys
from importlib.metadata import distributions
found = {each.name: each.version for each in distributions() if each.name in sys.argv[1:]}
print(*(f"{name} {found[name]}" for name in sys.argv[1:] if name in found), sep=", ")
"""


def environment() -> Path:
    """Its Python; the environment is made again when the pins change."""
    wanted = hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]
    folder = BENCH / f"optimum-benchmark-{wanted}"
    python, complete = folder / "bin/python", folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        print("peer_comparison: installing optimum-benchmark into .bench/, once", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, "-r", str(PINS)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"optimum-benchmark cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        complete.touch()
    return python


def versions(python: Path) -> str:
    """Versions of the packages that decide the figures, as installed there."""
    command = [str(python), "-c", VERSIONS, *PACKAGES]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Driver:
    """A process of optimum-benchmark that takes experiments one by one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, experiment: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(dict(experiment)) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("RESULT "):
                answer: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
                return answer
        raise RuntimeError(f"optimum-benchmark gave no report of {dict(experiment)}; its log is in {BENCH}")


@contextmanager
def driver(python: Path, launcher: str, folder: Path) -> Iterator[Driver]:
    """Started in `folder`, where it writes its files. `launcher`: process or inline."""
    # No model hub is asked; its own log goes nowhere but to the files it always writes.
    settings = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "LOG_TO_FILE": "0"}
    with (BENCH / "optimum-benchmark.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [str(python), str(DRIVER), launcher],
            cwd=folder,
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield Driver(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
