"""A peer in a virtual environment of its own, in .bench/, made on first use from its hash-locked list and kept.

Its torch is the build that this project's locks name for this machine, so that all run the same kernels. Python runs
isolated (-I): neither PYTHONPATH nor this folder decides what a peer imports, which matters for the one whose package
has this project's name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.experiments import THREADS
from benchmarks.small_model import BENCH, ROOT

HERE = Path(__file__).parent
LOCKS = ROOT / "envs/locks"
# As in envs/lock.py: what the build of torch decides.
TORCH_BUILD = re.compile(r"^(?:nvidia-(?!ml-py)|cuda-|triton|torch==)\S+.*(?:\n +.*)*\n", re.MULTILINE)
VERSIONS = """
import sys
from importlib.metadata import distributions
versions = {each.name: each.version for each in distributions() if each.name in sys.argv[1:]}
print(*(f"{name} {versions[name]}" for name in sys.argv[1:] if name in versions), sep=", ")
"""


class PeerUnavailable(Exception):
    """A peer does not run here; one line says why."""


@dataclass(frozen=True)
class Peer:
    """`package` names its list of packages; `driver` is the script that runs experiments inside its environment."""

    package: str
    driver: str

    def python(self) -> Path:
        """Its Python; the environment is made again when the pins change.

        Raises:
            PeerUnavailable: its packages cannot be installed.
        """
        pins = HERE / f"{self.package}.txt"
        torch = _torch_build()
        wanted = hashlib.sha256(pins.read_bytes() + torch.encode()).hexdigest()[:12]
        folder = BENCH / f"{self.package}-{wanted}"
        python = folder / "bin/python"
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            print(f"peer_comparison: installing {self.package} into .bench/, once", flush=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            (folder / "torch.txt").write_text(torch, encoding="utf-8")
            pip = [str(python), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            # Without dependencies: the lists are complete, and a build of torch names fewer on some machines.
            pip += ["--require-hashes", "--no-deps", "-r", str(pins), "-r", str(folder / "torch.txt")]
            done = subprocess.run(pip, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise PeerUnavailable(f"it cannot be installed: {last_line(done.stderr)}")
            (folder / "complete").touch()
        return python


OPTIMUM_BENCHMARK = Peer("optimum-benchmark", "optimum_driver.py")
ORIGINAL = Peer("llenergymeasure", "original_driver.py")
ZEUS = Peer("zeus", "script_driver.py")
# What optimum-benchmark's older transformers alone makes of the same calls.
OLDER_TRANSFORMERS = Peer("optimum-benchmark", "script_driver.py")


def _torch_build() -> str:
    """The lines of this project's lock for this machine that name torch and what its build brings along."""
    command = [sys.executable, str(LOCKS.parent / "choose_lock.py")]
    lock = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return "".join(TORCH_BUILD.findall((LOCKS / f"{lock}.txt").read_text(encoding="utf-8")))


def versions(python: Path, *packages: str) -> str:
    """Versions of the packages that decide the figures, as installed there."""
    command = [str(python), "-I", "-c", VERSIONS, *packages, "transformers", "torch", "codecarbon"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


class Driver:
    """A process of a peer that takes experiments one by one."""

    def __init__(self, peer: Peer, process: subprocess.Popen[str], log: Path) -> None:
        self._peer = peer
        self._process = process
        self._log = log

    def run(self, experiment: Mapping[str, Any]) -> dict[str, Any]:
        """Its answer, as its driver's docstring says.

        Raises:
            PeerUnavailable: it ended without one.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(dict(experiment)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        for line in self._process.stdout:
            if line.startswith("RESULT "):
                answer: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
                return answer
        raise PeerUnavailable(f"it gave no result: {last_line(self._log.read_text(encoding='utf-8'))} ({self._log})")


@contextmanager
def driver(peer: Peer, folder: Path, *arguments: str, boards: Mapping[str, str] | None = None) -> Iterator[Driver]:
    """Started in `folder`, where it writes its files. boards: what its environment says of simulated ones."""
    # No model hub is asked; optimum-benchmark's log goes nowhere but to the files it always writes.
    settings = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "LOG_TO_FILE": "0"}
    settings.update({"OMP_NUM_THREADS": str(THREADS), **(boards or {})})
    path = BENCH / f"{'-'.join([peer.package, Path(peer.driver).stem, *arguments])}.log"
    command = [str(peer.python()), "-I", str(HERE / peer.driver), *arguments]
    with path.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            # As our worker: Linux shares the cores among sessions first (autogroup, sched(7)), and a process with a
            # session of its own gets more of them on a busy machine.
            start_new_session=True,
        )
        try:
            yield Driver(peer, process, path)
        finally:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
