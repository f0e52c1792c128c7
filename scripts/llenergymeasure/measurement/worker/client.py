"""The manager's handle on one worker process: start it, ask it, outlive it. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from llenergymeasure.measurement.worker.channel import WORKER_DESCRIPTOR, receive, send
from llenergymeasure.processes.lifeline import PARENT
from llenergymeasure.processes.package_path import python_path

MODULE = "llenergymeasure.measurement.worker"
# Snakemake sets these from a rule's `threads`; a study's `cpu_threads` is what decides.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "JULIA_NUM_THREADS",
)
# Signals that people and schedulers send; libraries, the kernel and bugs do not.
ASKED_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class WorkerLost(Exception):
    """The worker died or was stopped: `error_class` and the message say how."""

    def __init__(self, error_class: str, message: str) -> None:
        super().__init__(message)
        self.error_class = error_class


class WorkerStopped(Exception):
    """Something outside asked the worker to end. That is not a result of the experiment; the job ends."""


class WorkerBug(Exception):
    """The worker met an exception that no library raised on an experiment's behalf."""


class WorkerProcess:
    """One spawned `python -m llenergymeasure.measurement.worker`, or another such module, its output appended to a log.

    overrides: variables of its environment
    """

    def __init__(self, log: Path, module: str = MODULE, overrides: Mapping[str, str] | None = None) -> None:
        self.log = log
        ours, theirs = Pipe(duplex=True)
        environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
        environment[WORKER_DESCRIPTOR] = str(theirs.fileno())
        environment[PARENT] = str(os.getpid())
        environment["PYTHONPATH"] = python_path(environment)
        environment["HF_HUB_OFFLINE"] = "1"
        # Numbers of devices mean the same to CUDA, NVML and nvidia-smi; CUDA's own order is by speed.
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        environment.setdefault("TOKENIZERS_PARALLELISM", "false")
        environment.update(overrides or {})
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                env=environment,
                start_new_session=True,
            )
        theirs.close()
        self._connection = ours

    @property
    def pid(self) -> int:
        return self._process.pid

    def request(self, message: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Send a command and sleep until the answer is there.

        Raises:
            WorkerLost: the worker died, or did not answer in `timeout_s` seconds and was killed.
            WorkerStopped: the worker was asked to end, as a cluster asks all processes of a job that it takes back.
            WorkerBug: the worker hit an error of the pipeline itself.
        """
        try:
            send(self._connection, message)
            if not self._connection.poll(timeout_s):
                self.kill()
                raise WorkerLost("Timeout", f"no answer within {timeout_s:g} s (measurement.experiment_timeout_s)")
            answer = receive(self._connection)
        except (EOFError, ConnectionError, BrokenPipeError) as error:
            raise self._end() from error
        if "bug" in answer:
            self.kill()
            raise WorkerBug(answer["bug"])
        return answer

    def stop(self) -> None:
        """Let the worker end by itself; kill it if it does not."""
        self._connection.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the worker and everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._connection.close()

    def _end(self) -> WorkerLost | WorkerStopped:
        """Why the worker no longer answers."""
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()
            return WorkerLost("WorkerDied", "the worker closed its connection without ending; it was killed")
        self.kill()
        if code >= 0:
            return WorkerLost("WorkerDied", f"the worker ended with exit code {code}")
        name = signal.Signals(-code).name
        if -code in ASKED_TO_END:
            return WorkerStopped(
                f"the worker was asked to end ({name}), as by a cluster that takes its node back; what was measured is "
                "kept, and the next call continues from here"
            )
        hint = "; often the kernel's out-of-memory killer" if -code == signal.SIGKILL else ""
        return WorkerLost("WorkerDied", f"the worker was killed by {name}{hint}")
