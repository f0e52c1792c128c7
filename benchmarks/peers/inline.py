"""Each tool in a process that has started already, so that only its calls of `generate` are compared."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers import experiments
from benchmarks.peers.answers import (
    Answer,
    answer_from_optimum,
    answer_from_original,
    answer_from_record,
    answer_from_script,
)
from benchmarks.peers.environment import (
    OLDER_TRANSFORMERS,
    OPTIMUM_BENCHMARK,
    ORIGINAL,
    ZEUS,
    Driver,
    PeerUnavailable,
    driver,
)
from benchmarks.peers.experiments import SETTINGS, Setting

# Runs one experiment: its setting, and how many calls are measured.
Run = Callable[[Setting, int], Answer]
OURS, BARE, UNDER_ZEUS = "this project", "bare script", "script under Zeus's monitor, simulated boards"
HARNESS, OPTIMUM = "harness of PyPI's llenergymeasure, past its check for CUDA", "optimum-benchmark"
BARE_OLDER = "bare script on optimum-benchmark's transformers"


@contextmanager
def tools(model: Path, boards: Mapping[str, str]) -> Iterator[tuple[dict[str, Run], dict[str, str]]]:
    """The tools that run here by name, and why the others do not.

    boards: what the environment says of simulated boards, for the monitor that reads nothing without
    """
    runs: dict[str, Run] = {}
    refused: dict[str, str] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        runs[OURS] = _Ours(model, folder, stack).run
        peers: dict[str, Callable[[], Run]] = {
            BARE: lambda: _script(stack.enter_context(driver(ZEUS, folder, "bare")), model),
            UNDER_ZEUS: lambda: _script(stack.enter_context(driver(ZEUS, folder, "zeus", boards=boards)), model),
            HARNESS: lambda: _original(stack.enter_context(driver(ORIGINAL, folder)), model, folder),
            BARE_OLDER: lambda: _script(stack.enter_context(driver(OLDER_TRANSFORMERS, folder, "bare")), model),
            OPTIMUM: lambda: _optimum(stack.enter_context(driver(OPTIMUM_BENCHMARK, folder, "inline")), model),
        }
        for name, start in peers.items():
            try:
                run = start()
                run(SETTINGS[0], 1)
                runs[name] = run
            except PeerUnavailable as reason:
                refused[name] = str(reason)
        yield runs, refused


def _script(process: Driver, model: Path) -> Run:
    return lambda setting, calls: answer_from_script(process.run(experiments.script(model, setting, calls)))


def _original(process: Driver, model: Path, folder: Path) -> Run:
    return lambda setting, calls: answer_from_original(process.run(experiments.original(model, setting, calls, folder)))


def _optimum(process: Driver, model: Path) -> Run:
    return lambda setting, calls: answer_from_optimum(
        process.run({**experiments.script(model, setting, calls), "everything": False})
    )


class _Ours:
    """Workers with the model loaded, one per kernel, and the calibration of each setting."""

    def __init__(self, model: Path, folder: Path, stack: ExitStack) -> None:
        from llenergymeasure.config import ExperimentConfig
        from llenergymeasure.measurement.worker.manager import LoadOrder, Manager

        self._configs: dict[Setting, dict[str, Any]] = {}
        self._managers: dict[str, Manager] = {}
        self._calibrations: dict[Setting, dict[str, Any]] = {}
        for setting in SETTINGS:
            config = ExperimentConfig.model_validate(experiments.ours(model, setting, folder))
            self._configs[setting] = config.model_dump(mode="json")
        for kernel, size in SETTINGS:
            if kernel not in self._managers:
                order = LoadOrder(self._configs[kernel, size], {"model": model}, None, timeout_s=600)
                self._managers[kernel] = stack.enter_context(Manager(order, folder / f"{kernel}.log"))
                self._managers[kernel].load()

    def run(self, setting: Setting, calls: int) -> Answer:
        ask, config = self._managers[setting[0]].ask, self._configs[setting]
        if setting not in self._calibrations:
            wanted = {"do": "warmup", "config": config, "min_window_s": 0.001, "energy_resolution": 0.4}
            self._calibrations[setting] = ask(wanted)
        calibration = {**self._calibrations[setting], "measured_passes": calls}
        nothing = {"experiment_id": "", "outputs": []}
        report = ask({"do": "measure", "config": config, "calibration": calibration, "reference": nothing})
        energy = answer_from_record({**report["record"], "failure": None}).energy
        outputs = [row["output_ids"] for row in calibration["outputs"]]
        return Answer(seconds_in_service(report["requests"], calls), energy, outputs=outputs)


def seconds_in_service(requests: Iterable[Mapping[str, Any]], calls: int) -> float:
    """Seconds of the measured calls together. A pass is one call, and each of its requests is in service all the time.

    Raises:
        ValueError: there are not as many passes as calls.
    """
    passes = {row["pass_index"]: row["service_e2e_latency_s"] for row in requests}
    if len(passes) != calls:
        raise ValueError(f"{len(passes)} calls were measured, {calls} were asked for")
    return float(sum(passes.values()))
