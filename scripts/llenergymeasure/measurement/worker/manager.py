"""The manager: feeds experiments to one worker, sleeps, and survives it. Imports no torch.

A worker that dies or refuses an experiment is replaced by a fresh one, so that a poisoned CUDA context or a
fragmented heap is never what the next experiment runs in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from llenergymeasure.measurement.worker.client import WorkerLost, WorkerProcess
from llenergymeasure.models.snapshot import SnapshotError, verify_snapshot
from llenergymeasure.records.findings import FOREIGN_LOAD
from llenergymeasure.records.validity import Failure


@dataclass(frozen=True)
class LoadOrder:
    """How a worker loads the model: resolved intent, snapshot folder by role, compile cache, timeout in seconds.

    foreign_load: measurement.foreign_load
    quantized: folder of the weights as they were quantized before, where there is one
    """

    config: dict[str, Any]
    snapshots: Mapping[str, Path]
    compile_cache: Path | None
    timeout_s: float
    foreign_load: float = FOREIGN_LOAD
    quantized: Path | None = None

    def message(self) -> dict[str, Any]:
        return {
            "do": "load",
            "config": self.config,
            "snapshots": {role: str(folder) for role, folder in self.snapshots.items()},
            "compile_cache": None if self.compile_cache is None else str(self.compile_cache),
            "quantized": None if self.quantized is None else str(self.quantized),
            "foreign_load": self.foreign_load,
        }


class Refused(Exception):
    """An experiment failed; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Damaged(Refused):
    """The files to load are not what their snapshot's record says. `reason` names the file."""


class Manager:
    """Context manager around at most one worker with the model loaded. `loaded` is the worker's load record.

    Before each worker starts, every file that it will load is hashed: what is measured is what the record names.
    """

    def __init__(self, order: LoadOrder, log: Path) -> None:
        self._order = order
        self._log = log
        self._worker: WorkerProcess | None = None
        self._damaged: Damaged | None = None
        self.loaded: dict[str, Any] = {}
        self.startup_s = 0.0

    def __enter__(self) -> Manager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            if kind is None:
                self._worker.stop()
            else:
                self._worker.kill()

    def load(self) -> dict[str, Any]:
        """Start a worker and load the model, unless one is there. Raises Refused."""
        if self._worker is None:
            self._verify()
            start = time.monotonic()
            self._worker = WorkerProcess(self._log)
            self.loaded = self._request(self._order.message(), stage="load")
            self.startup_s = time.monotonic() - start
        return self.loaded

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """One command to the loaded worker. Raises Refused when the experiment failed, and drops the worker then."""
        self.load()
        return self._request(message, stage=message["do"])

    def replace_worker(self) -> None:
        """End the worker: whatever a library left in it must not be what the next experiment runs in."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def _verify(self) -> None:
        """Hash every file. What was found damaged once is not hashed for each experiment again."""
        if self._damaged is None:
            try:
                for folder in (*self._order.snapshots.values(), *filter(None, [self._order.quantized])):
                    verify_snapshot(folder)
            except SnapshotError as error:
                self._damaged = Damaged(Failure.of("load", "SnapshotError", str(error), self._log))
        if self._damaged is not None:
            raise self._damaged

    def _request(self, message: dict[str, Any], *, stage: str) -> dict[str, Any]:
        assert self._worker is not None
        try:
            answer = self._worker.request(message, timeout_s=self._order.timeout_s)
        except WorkerLost as lost:
            self._worker = None
            raise Refused(Failure.of(stage, lost.error_class, str(lost), self._log)) from lost
        if "failure" in answer:
            self.replace_worker()
            raise Refused(Failure.from_plain({**answer["failure"], "log": str(self._log)}))
        done: dict[str, Any] = answer["done"]
        return done
