"""What a worker does for its manager: first load, then what `LoadedSession` can. One session per process.

Where an experiment has several processes, each holds a session and all do the same commands; the first one's answers
count. What they do side by side goes through their `Group`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.energy import MeterSet, MeterUnavailable, no_meters, open_meters
from llenergymeasure.engine.devices import startup_devices
from llenergymeasure.engine.failure import refused_by
from llenergymeasure.engine.loading.compilation import use_compile_cache
from llenergymeasure.engine.loading.load import load_model
from llenergymeasure.engine.machine import require_cuda
from llenergymeasure.engine.replicas import Group
from llenergymeasure.measurement.load_record import padding_warnings
from llenergymeasure.measurement.loaded_session import LoadedSession
from llenergymeasure.measurement.measurement_record import each_once
from llenergymeasure.measurement.memory_checks import MemoryWatch
from llenergymeasure.measurement.metrics.baselines import RESIDENT
from llenergymeasure.measurement.weights_source import choose_weights, sources_from_snapshots
from llenergymeasure.measurement.windows import BARE, Windows
from llenergymeasure.models.snapshot import read_snapshot
from llenergymeasure.records.findings import FOREIGN_LOAD

STOP = {"do": "stop"}


class Session:
    """Holds what this process has opened, and knows the commands that it can follow by now."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._opened = ExitStack()
        self._commands: dict[str, Callable[..., dict[str, Any]]] = {"load": self._load}

    def perform(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what the manager asks: `do` names the command, the rest are its arguments.

        ExperimentFailure for whatever a library refuses. An error of the device is reported at a later call, perhaps
        one of this package's own, and the process cannot use the device any more: it is the experiment's failure too.
        """
        arguments = {name: value for name, value in message.items() if name != "do"}
        with refused_by(message["do"], torch.AcceleratorError):
            return self._commands[message["do"]](**arguments)

    def load(
        self,
        *,
        config: dict[str, Any],
        snapshots: dict[str, str],
        compile_cache: str | None,
        quantized: str | None = None,
        foreign_load: float = FOREIGN_LOAD,
    ) -> LoadedSession:
        """Open the meters and load the model, with an idle window before and after.

        snapshots: folder by role
        quantized: folder of weights that were quantized before; they are read where they fit
        foreign_load: measurement.foreign_load

        Raises:
            ExperimentFailure: a meter is not available, or the library refuses the load.
        """
        intent = ExperimentConfig.model_validate(config)
        self.group.together(lambda: require_cuda(intent))
        if compile_cache is not None:
            use_compile_cache(Path(compile_cache))
        verified = {role: read_snapshot(Path(folder)) for role, folder in snapshots.items()}
        windows = Windows(self.group.together(lambda: self._open_meters(intent, foreign_load)), self.group)
        devices = startup_devices()
        windows.idle(intent, BARE)
        # Only now: it asks the devices what they are, and that gives them a context.
        weights = choose_weights(intent, verified["model"], quantized)
        sources = sources_from_snapshots(verified, intent, quantized=weights.folder)
        with windows.open("load", devices.synchronize) as window:
            loaded = self.group.together(lambda: load_model(intent, sources, self.group))
        windows.keep(window)
        memory = MemoryWatch(loaded.devices, self.group)
        windows.meters.restrict(self.group.gather_all(loaded.devices.uuids()))
        windows.idle(intent, RESIDENT)
        warnings = [
            *windows.meters.warnings,
            *each_once(self.group.gather_all(loaded.warnings)),
            *padding_warnings(loaded),
        ]
        return LoadedSession(intent, self.group, windows, verified, weights, loaded, memory, warnings)

    def close(self) -> None:
        self._opened.close()
        self.group.close()

    def _load(self, **arguments: Any) -> dict[str, Any]:
        """Load, and know from then on what can be done with a loaded model. Returns the load's record."""
        session = self.load(**arguments)
        self._commands |= {
            "compile": session.compile,
            "keep_quantized": session.keep_quantized,
            "warmup": session.warmup,
            "measure": session.measure,
        }
        return session.describe_load()

    def _open_meters(self, intent: ExperimentConfig, foreign_load: float) -> MeterSet:
        """The first process meters for all."""
        with refused_by("meters", MeterUnavailable):
            meters = open_meters(intent.energy, foreign_load=foreign_load) if self.group.leads else no_meters()
        self._opened.callback(meters.close)
        return meters
