"""What is left of a study, and what that takes: jobs, hours, memory, disk, download and energy, all estimated."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.devices import devices_claimed
from llenergymeasure.config.settings.quantization_key import quantized_key
from llenergymeasure.config.settings.sources import SourceIntent, sources_from_intent
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.measurement.prompts.datasets import SOURCES, read_rows
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.source import RowSource
from llenergymeasure.models.memory.estimate import MemoryEstimate
from llenergymeasure.models.memory.experiment import estimate_experiment, weight_bytes
from llenergymeasure.pipeline.estimate.durations import Guess, calibrated_replicate_s, guess_experiment, idle_s, start_s
from llenergymeasure.pipeline.estimate.hardware import Hardware
from llenergymeasure.pipeline.estimate.model_facts import ModelFacts, facts_of_source
from llenergymeasure.pipeline.estimate.roofline import guess_pass
from llenergymeasure.pipeline.run.paths import StudyPaths
from llenergymeasure.records.calibration import SessionCalibration
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.storage.parsing import BrokenRecord, read_record
from llenergymeasure.records.study.plan import Plan, Session

CHARACTERS_PER_TOKEN = 4
# What a chat template puts around a prompt.
TEMPLATE_TOKENS = 20
# Bytes of records, requests and power samples per experiment and replicate.
RECORD_BYTES = 200_000


@dataclass(frozen=True)
class SessionEstimate:
    """Seconds that are left of a session. None: not known. `unknown`: why, or why a calibration does not count.

    calibrated: from its own calibration; power_w: of its devices while it runs
    """

    session_id: str
    seconds: float | None
    calibrated: bool
    power_w: float | None
    unknown: str | None = None


@dataclass(frozen=True)
class SetupMemory:
    """The experiment of a setup that needs most. None: not known.

    devices: those that share one copy of the model; stored_bytes: of the weights, where only their size is known
    """

    setup_id: str
    estimate: MemoryEstimate | None
    device: Hardware
    devices: int
    stored_bytes: int | None = None

    @property
    def there_bytes(self) -> int | None:
        return None if self.device.memory_bytes is None else self.device.memory_bytes * self.devices


@dataclass(frozen=True)
class StudyEstimate:
    """jobs: kind → how many are left; free_bytes: on the disk of the results

    at_most: the study ends where it is precise enough, so its last replicates may not be needed
    """

    study: str
    jobs: Mapping[str, int]
    sessions: tuple[SessionEstimate, ...]
    memory: tuple[SetupMemory, ...]
    models: tuple[ModelFacts, ...]
    hardware: tuple[Hardware, ...]
    results_bytes: int
    free_bytes: int
    at_most: bool


class Estimator:
    """board: None where this machine has no GPU that CUDA will use; all models are then taken to be on the processor"""

    def __init__(self, plan: Plan, lock: ModelsLock, board: Hardware | None, processor: Hardware) -> None:
        self._plan = plan
        self._layout = Layout(Path("results", plan.study))
        self._board = board
        self._processor = processor
        self._configs = {
            name: ExperimentConfig.model_validate(entry.config) for name, entry in plan.experiments.items()
        }
        self._facts = {
            source.key: facts_of_source(source, Path(StudyPaths.snapshot.format(key=source.key)), lock)
            for source in self._sources()
        }

    def estimate(self) -> StudyEstimate:
        left = [entry for entry in self._plan.order if not self._layout.measurements(*entry).exists()]
        records = sum(len(self._plan.session(session_id).experiments) for session_id, _ in left) * RECORD_BYTES
        sessions = tuple(self._session(session, left) for session in self._plan.sessions)
        on = [self._device(config) for config in self._configs.values()]
        return StudyEstimate(
            study=self._plan.study,
            jobs=self._jobs(left),
            sessions=sessions,
            memory=tuple(self._memory(setup_id) for setup_id in self._plan.setup_ids),
            models=tuple(self._facts.values()),
            hardware=tuple({device.name: device for device in on}.values()),
            results_bytes=records,
            free_bytes=shutil.disk_usage(".").free,
            at_most=self._plan.stopping is not None,
        )

    def _sources(self) -> list[SourceIntent]:
        """Every model, assistant and adapter, once."""
        intents = [source for entry in self._plan.experiments.values() for source in sources_from_intent(entry.config)]
        return list({source.key: source for source in intents}.values())

    def _device(self, config: ExperimentConfig) -> Hardware:
        return self._processor if self._board is None or _claimed(config) == 0 else self._board

    def _model(self, config: ExperimentConfig) -> ModelFacts:
        """The model itself, not its assistant or adapter."""
        return self._facts[sources_from_intent(config.model_dump())[0].key]

    def _members(self, session: Session) -> list[ExperimentConfig]:
        return [self._configs[name] for name in session.experiments]

    def _session(self, session: Session, left: list[tuple[str, int]]) -> SessionEstimate:
        replicates = sum(1 for session_id, _ in left if session_id == session.session_id)
        configs = self._members(session)
        device = self._device(configs[0])
        power_w = None if device.power_w is None else device.power_w * (_claimed(configs[0]) or 1)
        calibration, broken = self._calibration(session)
        if calibration is not None:
            seconds = replicates * calibrated_replicate_s(calibration, configs)
            return SessionEstimate(session.session_id, seconds, True, power_w)
        facts = self._model(configs[0])
        try:
            guesses = [self._guess(config, facts, device) for config in configs]
        except Exception as error:  # noqa: BLE001 - config.json may hold any value
            reason = f"{facts.name}: nothing can be computed from its config.json: {error}"
            return SessionEstimate(session.session_id, None, False, power_w, reason)
        if facts.tensors is None or any(guess is None for guess in guesses):
            why = facts.unknown if facts.tensors is None else f"the speed of {device.name} is not known"
            return SessionEstimate(session.session_id, None, False, power_w, why)
        begin_s = start_s(weight_bytes(configs[0], facts.tensors, quantized=False), configs[0])
        known = [guess for guess in guesses if guess is not None]
        # Loading the setup once, and warming up, come before the replicates.
        before_s = (0.0 if self._layout.load(session.setup_id).exists() else begin_s) + begin_s
        before_s += sum(guess.warmup_s for guess in known)
        each_s = begin_s + idle_s(configs) + sum(guess.replicate_s for guess in known)
        return SessionEstimate(session.session_id, before_s + replicates * each_s, False, power_w, broken)

    def _guess(self, config: ExperimentConfig, facts: ModelFacts, device: Hardware) -> Guess | None:
        pass_time = guess_pass(config, facts, device, prompt_tokens(config))
        if pass_time is None:
            return None
        window_s = self._plan.protocol.min_window_s
        return guess_experiment(config, pass_time, min_window_s=window_s, is_gpu=device.is_gpu)

    def _calibration(self, session: Session) -> tuple[SessionCalibration | None, str | None]:
        """None where there is none yet; and why one that exists cannot be read."""
        path = self._layout.calibration(session.session_id)
        try:
            return (read_record(SessionCalibration, path) if path.exists() else None), None
        except BrokenRecord as error:
            return None, f"a calibration: {error}"

    def _memory(self, setup_id: str) -> SetupMemory:
        sessions = [session for session in self._plan.sessions if session.setup_id == setup_id]
        configs = [config for session in sessions for config in self._members(session)]
        device, facts = self._device(configs[0]), self._model(configs[0])
        # Each process of `num_processes` holds the whole model; those of `tp_size` share it.
        devices = max(1, (_claimed(configs[0]) or 1) // (configs[0].pytorch.num_processes or 1))
        if facts.config is None or facts.tensors is None:
            weights = sum(entry["data_offsets"][1] for _, entry in facts.tensors or ())
            return SetupMemory(setup_id, None, device, devices, weights or None)
        try:
            estimates = [
                estimate_experiment(config, facts.config, facts.tensors, on_processor=device is self._processor)
                for config in configs
            ]
        except Exception:  # noqa: BLE001 - config.json may lack any field, and hold any value
            return SetupMemory(setup_id, None, device, devices)
        return SetupMemory(setup_id, max(estimates, key=lambda item: item.total), device, devices)

    def _jobs(self, left: list[tuple[str, int]]) -> dict[str, int]:
        layout, plan = self._layout, self._plan
        setups, sessions = plan.setup_ids, [session.session_id for session in plan.sessions]
        snapshots = [Path(StudyPaths.snapshot.format(key=key)) for key in self._facts]
        keys = {quantized_key(plan.setup_config(setup_id)) for setup_id in setups} - {None}
        models = {source.key for source in self._sources() if source.role == "model"}
        return {
            "model": sum(not path.is_dir() for path in snapshots),
            "validate": int(not layout.validation.exists()),
            "prompts": sum(not layout.prompts(key).exists() for key in models),
            "quantize": sum(not Path(StudyPaths.snapshot.format(key=key)).is_dir() for key in keys),
            "load": sum(not layout.load(setup_id).exists() for setup_id in setups),
            "warmup": sum(not layout.calibration(session_id).exists() for session_id in sessions),
            "measure": len(left),
        }


def _claimed(config: ExperimentConfig) -> int | None:
    return devices_claimed(config.pytorch.model_dump())


def prompt_tokens(config: ExperimentConfig) -> float:
    """Of a prompt, on average: counted where the texts are on this machine, otherwise the most that there may be."""
    most = config.max_input_tokens
    if config.dataset.tokens is not None:
        return min(config.dataset.tokens, most)
    source = SOURCES[config.dataset.source]
    if not isinstance(source, RowSource) or not source.local:
        return most
    try:
        rows = read_rows(config.dataset, config.n_prompts, config.random_seed)
    except PromptError:
        return most
    characters = 1 if config.model.startswith("random:") else CHARACTERS_PER_TOKEN
    written = [sum(len(str(message["content"])) for message in row.with_text(row.text)) for row in rows]
    lengths = [min(length / characters + TEMPLATE_TOKENS, most) for length in written]
    return sum(lengths) / len(lengths)
