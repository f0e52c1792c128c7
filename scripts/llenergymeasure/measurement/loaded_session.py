"""What a worker does once its model is loaded: compile, warm up, measure, and write quantized weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.settings.parameter import Level
from llenergymeasure.engine.evidence import (
    Observation,
    checkpoint_warnings,
    choice_warnings,
    collect,
    is_sampled,
    speculation_warnings,
    worst_evidence,
)
from llenergymeasure.engine.failure import refused_by
from llenergymeasure.engine.generation.generation import Generator
from llenergymeasure.engine.generation.generators import generator_for
from llenergymeasure.engine.generation.padding import embedding_rows
from llenergymeasure.engine.loading.load import LoadedModel, load_model
from llenergymeasure.engine.loading.quantized import digest_layers, require_same, write_quantized
from llenergymeasure.engine.replicas import Group
from llenergymeasure.measurement.calibration import Calibration, calibrate, calibration_record
from llenergymeasure.measurement.load_record import compile_record, load_record, quantized_record
from llenergymeasure.measurement.measurement_record import (
    each_once,
    first_pass,
    measurement_record,
    phase_warnings,
    request_row,
)
from llenergymeasure.measurement.measuring import Measurement, find_doubts, read_windows, run_windows
from llenergymeasure.measurement.memory_checks import MemoryWatch
from llenergymeasure.measurement.metrics.baselines import RESIDENT
from llenergymeasure.measurement.output_match import compare_outputs, varying_outputs
from llenergymeasure.measurement.passes import Passes
from llenergymeasure.measurement.prompts.prompts import PromptError, PromptSet, build_prompts, require_digest
from llenergymeasure.measurement.reference_score import ReferenceScores, Score
from llenergymeasure.measurement.warmth.thermal import Aim, aim
from llenergymeasure.measurement.weights_source import QuantizedWeights, sources_from_snapshots
from llenergymeasure.measurement.window_findings import off_target
from llenergymeasure.measurement.windows import Windows
from llenergymeasure.models.snapshot import Snapshot
from llenergymeasure.records.study.warmth import NO_TEMPERATURES, StudyTemperatures


@dataclass
class LoadedSession:
    """A process with its model in memory. Its commands run one experiment after the other.

    intent: as it was loaded; the experiments agree with it in everything that concerns the load
    snapshots: by role, verified
    weights: where quantized weights came from
    load_warnings: of meters, libraries and tokenizer while the model was loaded; every record repeats them
    """

    intent: ExperimentConfig
    group: Group
    windows: Windows
    snapshots: Mapping[str, Snapshot]
    weights: QuantizedWeights
    loaded: LoadedModel
    memory: MemoryWatch
    load_warnings: Sequence[dict[str, str]]
    scores: ReferenceScores = field(default_factory=ReferenceScores)

    def describe_load(self) -> dict[str, Any]:
        """Cost, memory and evidence of the load."""
        observation = self._observation()
        evidence = self._evidence(self.intent, observation, level="setup")
        return load_record(
            self.loaded,
            self.group,
            ledger=self.windows.ledger,
            weights=self.weights,
            evidence=evidence,
            devices=self._describe_devices(),
            meters=self.windows.meters.describe(),
            warnings=[*self.load_warnings, *checkpoint_warnings(observation)],
        )

    def keep_quantized(self, *, config: dict[str, Any], folder: str) -> dict[str, Any]:
        """Write the weights that the load quantized, and read them again in the model's place: what that costs.

        ExperimentFailure where what is read is not what was written.
        """
        intent = ExperimentConfig.model_validate(config)
        snapshot, devices = self.snapshots["model"], self.loaded.devices
        written = digest_layers(self.loaded.model)
        write_quantized(self.loaded.model, snapshot.path, snapshot.files, Path(folder))
        # Two models at a time would need twice the memory.
        del self.loaded
        devices.release_memory()
        sources = sources_from_snapshots(self.snapshots, intent, quantized=Path(folder))
        with self.windows.open("load", devices.synchronize) as window:
            self.loaded = load_model(intent, sources, self.group)
        require_same(written, digest_layers(self.loaded.model))
        return quantized_record(self.loaded, window)

    def compile(self, *, config: dict[str, Any]) -> dict[str, Any]:
        """Generate once so that everything is compiled: its time, energy and graph counts."""
        intent = ExperimentConfig.model_validate(config)
        self.loaded.state.reset()
        observation = self._observation()
        generator, _ = self._generator(intent, None)
        with self.windows.open("compile", self.loaded.devices.synchronize) as window:
            self._passes(generator).run(1)
        observation.count()
        generator.close()
        return compile_record(window, observation.compile_counts, self._evidence(intent, observation, level="setup"))

    def warmup(
        self,
        *,
        config: dict[str, Any],
        min_window_s: float,
        energy_resolution: float,
        prompts_digest: str | None = None,
    ) -> dict[str, Any]:
        """Warm one experiment with its own shapes and keywords, and calibrate it; what its first pass put out.

        prompts_digest: of the prompts as they were checked before the run; None where they could not be
        """
        intent = ExperimentConfig.model_validate(config)
        self.loaded.state.reset()
        generator, prompts = self._generator(intent, prompts_digest)
        observation = self._observation()
        passes = self._passes(generator)
        run_pass = passes.timed_and_observed(observation)
        warming, warmth = passes.warm_up(run_pass, intent.warmup)
        calibration = calibrate(
            warming,
            run_pass,
            passes.timed(prefill_only=True),
            intent.warmup,
            min_window_s=min_window_s,
            energy_resolution=energy_resolution,
            trial=passes.trial if self.windows.resolves() else None,
            warmth=warmth,
        )
        generator.close()
        # Recorded graphs hold memory of their own.
        self.loaded.state.reset()
        self.loaded.devices.release_memory()
        outputs, (bad_logits, _) = passes.first_outputs(observation), passes.count_logits(observation)
        # An output whose tokens come from logits that are not finite is not one to compare with.
        return calibration_record(calibration, prompts, None if bad_logits else outputs)

    def measure(
        self,
        *,
        config: dict[str, Any],
        calibration: dict[str, Any],
        reference: dict[str, Any],
        temperatures: dict[str, Any] | None = None,
        replicate: int = 1,
    ) -> dict[str, Any]:
        """Warm up as calibrated, measure a full window and a prefill-only one, then compare outputs.

        temperatures: the study's temperatures.json; None where it has none, and the calibration's own is kept to
        reference: {experiment_id, outputs}: the prompts and outputs of the study's reference, none where it failed
        replicate: which repetition this is; passes after the first sample with seeds of their own in each
        """
        intent = ExperimentConfig.model_validate(config)
        self.loaded.state.reset()
        self.memory.begin()
        generator, prompts = self._generator(intent, calibration["prompts_digest"], replicate)
        plan = Calibration.from_dict(calibration)
        goal = self._aim(plan, temperatures, intent)
        report, outputs = self._measure(intent, plan, goal, generator, prompts)
        # Only now: no window is open, the trace has ended, and the next experiment warms up for itself.
        match = compare_outputs(reference, [prompt.input_ids for prompt in prompts.prompts], outputs)
        # Otherwise recorded graphs and a static cache would hold memory while the reference is scored.
        self.loaded.state.reset()
        score = Score(None)
        if match["reference_tokens"]:
            score = self.scores.score(self.loaded, reference, prompts.digest, batch_size=intent.pytorch.batch_size or 1)
        report["record"]["output_match"] = {**match, **score.to_dict()}
        return {**report, "scoring_failed": score.failed}

    def _measure(
        self, intent: ExperimentConfig, plan: Calibration, goal: Aim | None, generator: Generator, prompts: PromptSet
    ) -> tuple[dict[str, Any], list[Sequence[int]]]:
        """The record without its `output_match`, the requests, the power; and the output ids of the first pass.

        What the passes left on the devices is dropped on return.
        """
        meters = self.windows.meters
        # The trace begins here.
        meters.trace()
        earlier_warnings = len(meters.warnings)
        observation = self._observation()
        observation.fixed_output = intent.fixed_output
        observation.changed_prompts = prompts.changed_prompts
        passes = self._passes(generator)
        ran = run_windows(passes, plan, goal, intent.warmup, observation, self.memory)
        self.windows.idle(intent, RESIDENT)
        outcome = read_windows(ran, passes, plan, prompts, self.group.gather_all(self.loaded.devices.uuids()))
        evidence = self._evidence(intent, observation)
        generator.close()
        findings = find_doubts(plan, ran, outcome, observation, evidence, passes.count_logits(observation))
        measurement = Measurement(plan, prompts, observation, ran, outcome, evidence, findings)
        record = measurement_record(
            measurement,
            snapshot=self.snapshots["model"],
            weights=self.weights,
            devices=self._describe_devices(),
            meters=meters.describe(),
            memory=self.memory,
            warnings=self._warnings(
                intent, measurement, passes.first_outputs(observation), meters.warnings[earlier_warnings:]
            ),
        )
        rows = [request_row(request, prompts) for request in outcome.requests]
        outputs: list[Sequence[int]] = [request.row.output_ids for request in first_pass(outcome.requests)]
        return {"record": record, "requests": rows, "power": meters.trace()}, outputs

    def _aim(self, plan: Calibration, temperatures: dict[str, Any] | None, intent: ExperimentConfig) -> Aim | None:
        """How warm the devices of this session are to be when a window begins."""
        study = NO_TEMPERATURES if temperatures is None else StudyTemperatures.from_plain(temperatures)
        return aim(plan.warmth, study, self.windows.temperatures_c(), intent.warmup)

    def _warnings(
        self,
        intent: ExperimentConfig,
        measurement: Measurement,
        warmed_up: Sequence[tuple[int, ...]],
        of_meters: Sequence[dict[str, str]],
    ) -> list[dict[str, str]]:
        """warmed_up: the output ids of every prompt in the instrumented pass."""
        return each_once(
            [
                *self.load_warnings,
                *of_meters,
                *each_once(self.group.gather_all(measurement.observation.library_warnings)),
                *choice_warnings(intent, measurement.observation),
                *checkpoint_warnings(measurement.observation),
                *phase_warnings(measurement.outcome.figures.energy.phases),
                *speculation_warnings(measurement.observation, warmed_up),
                *varying_outputs(measurement.outcome.requests, warmed_up, sampled=is_sampled(measurement.observation)),
                *off_target(measurement.windows.warmed.thermal, intent.warmup),
                *self.memory.warnings(),
                *self.loaded.state.warnings(),
            ]
        )

    def _observation(self) -> Observation:
        return Observation(
            loaded=self.loaded, snapshots=self.snapshots, rank=self.group.rank, weights_from=self.weights.in_words
        )

    def _evidence(
        self, intent: ExperimentConfig, observation: Observation, *, level: Level | None = None
    ) -> dict[str, dict[str, Any]]:
        """The worst verdict of all processes: a setting that one of them ignored is ignored."""
        observation.replicas = self.group.gather(observation.replica())
        return worst_evidence(self.group.gather(collect(intent, observation, level=level)))

    def _describe_devices(self) -> dict[str, Any]:
        mine, *others = self.group.gather(self.loaded.devices.describe())
        return {**mine, "processes": [mine, *others]} if others else mine

    def _generator(
        self, intent: ExperimentConfig, prompts_digest: str | None, replicate: int = 0
    ) -> tuple[Generator, PromptSet]:
        """A generator over this process's share of the experiment's prompts, and all of its prompts."""
        with refused_by("prompts", PromptError):
            prompts = build_prompts(
                intent.dataset,
                n=intent.n_prompts,
                max_input_tokens=intent.max_input_tokens,
                tokenizer=self.loaded.tokenizer,
                seed=intent.random_seed,
                embedding_rows=embedding_rows(self.loaded.model),
            )
            require_digest(prompts, prompts_digest)
        shard = self.group.shard(len(prompts.prompts))
        mine = [prompt.input_ids for prompt in prompts.prompts[shard.first : shard.end]]
        return generator_for(intent, self.loaded, mine, first_request=shard.first, replicate=replicate), prompts

    def _passes(self, generator: Generator) -> Passes:
        return Passes(generator, self.group, self.loaded.devices, self.windows)
