"""What a worker does: load once, then warm up or measure experiments. One session a process.

Where an experiment has several processes, each holds a session and all do the same commands; the first one's answers
count. What they do side by side goes through their `Group`.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.energy import MeterSet, MeterUnavailable, no_meters, open_meters
from llenergymeasure.engine.devices import cuda_libraries, startup_devices
from llenergymeasure.engine.evidence import Observation, choice_warnings, collect, worst_of
from llenergymeasure.engine.failure import ExperimentFailure, refused_by
from llenergymeasure.engine.generation.batches import Row
from llenergymeasure.engine.generation.generation import Generator, Request
from llenergymeasure.engine.generation.generators import generator_for
from llenergymeasure.engine.generation.padding import embedding_rows, pad_token
from llenergymeasure.engine.generation.scoring import mean_logprob
from llenergymeasure.engine.loading.compilation import use_compile_cache
from llenergymeasure.engine.loading.load import LoadedModel, Source, Sources, load_model
from llenergymeasure.engine.loading.quantized import layers_of, made_with, require_same, write_quantized
from llenergymeasure.engine.machine import require_cuda
from llenergymeasure.engine.replicas import Group
from llenergymeasure.measurement.calibration import Calibration, calibrate
from llenergymeasure.measurement.measurement_record import (
    digest_of,
    each_once,
    energy_missing,
    first_pass,
    padding_warnings,
    phase_warnings,
    plain_settings,
    request_row,
    snapshot_identity,
    warning_of,
    window_findings,
)
from llenergymeasure.measurement.memory_checks import MemoryWatch, driver_memory
from llenergymeasure.measurement.metrics.baselines import RESIDENT
from llenergymeasure.measurement.metrics.baselines import findings_of as baseline_findings
from llenergymeasure.measurement.metrics.energy_metrics import negative_energy
from llenergymeasure.measurement.metrics.prefill_decode import split_trace
from llenergymeasure.measurement.metrics.window_metrics import Measured, compute_metrics
from llenergymeasure.measurement.output_match import compare_outputs, varying_outputs
from llenergymeasure.measurement.passes import Passes
from llenergymeasure.measurement.prompts.prompts import PromptError, PromptSet, build_prompts, require_digest
from llenergymeasure.measurement.validity import INVALID, ignored_settings, judge, logits_not_finite
from llenergymeasure.measurement.weights_source import NOTHING_QUANTIZED, choose_weights
from llenergymeasure.measurement.windows import BARE, Windows
from llenergymeasure.models.snapshot import Snapshot, read_snapshot

STOP = {"do": "stop"}


class Session:
    """Holds the loaded model, the meters and the ledger of this process."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._loaded: LoadedModel | None = None
        self._opened: Windows | None = None
        self._memory: MemoryWatch | None = None
        self._snapshots: dict[str, Snapshot] = {}
        self._quantized = NOTHING_QUANTIZED
        self._load_warnings: list[dict[str, str]] = []
        # How likely a reference's answer is under this load: (reference, digest of its prompts) → log-probability.
        self._scores: dict[tuple[str, str], float] = {}

    # Commands -------------------------------------------------------------------------------------------------

    def perform(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what the manager asks: `do` names the command, the rest are its arguments."""
        arguments = {name: value for name, value in message.items() if name != "do"}
        commands: dict[str, Callable[..., dict[str, Any]]] = {
            "load": self.load,
            "compile": self.compile,
            "keep_quantized": self.keep_quantized,
            "warmup": self.warmup,
            "measure": self.measure,
        }
        return commands[message["do"]](**arguments)

    def load(
        self,
        *,
        config: dict[str, Any],
        snapshots: dict[str, str],
        compile_cache: str | None,
        quantized: str | None = None,
    ) -> dict[str, Any]:
        """Load the model and what belongs to it; its cost, memory and evidence.

        quantized: folder of weights that were quantized before, to be read where they fit
        """
        intent = ExperimentConfig.model_validate(config)
        self.group.together(lambda: require_cuda(intent))
        if compile_cache is not None:
            use_compile_cache(Path(compile_cache))
        self._snapshots = {role: read_snapshot(Path(folder)) for role, folder in snapshots.items()}
        windows = self._opened = Windows(self.group.together(self._meters_of(intent)), self.group)
        devices = startup_devices()
        windows.idle(intent, BARE)
        # Only now: it asks the devices what they are, and that gives them a context.
        self._quantized = choose_weights(intent, self._verified, quantized)
        with windows.open("load", devices.synchronize) as window:
            loaded = self.group.together(lambda: load_model(intent, self._sources(intent), self.group))
        windows.keep(window)
        self._loaded = loaded
        self._memory = MemoryWatch(loaded.devices, self.group)
        windows.meters.restrict(self._device_uuids())
        windows.idle(intent, RESIDENT)
        self._load_warnings = [
            *windows.meters.warnings,
            *self._of_every_process(loaded.warnings),
            *padding_warnings(loaded),
        ]
        seen = self._observation()
        return {
            "load_s": loaded.load_s,
            "energy": [entry.to_dict() for entry in windows.ledger],
            "memory": {
                "load_peak_bytes": sum(self.group.gather(loaded.load_peak_bytes)),
                "resident_bytes": sum(self.group.gather(loaded.resident_bytes)),
                "source": loaded.devices.memory_source,
            },
            "quantized_weights": self._quantized.to_dict(),
            "evidence": self._evidence(intent, seen, level="load"),
            "devices": self._described_devices(),
            "libraries": cuda_libraries(),
            "meters": windows.meters.describe(),
            "warnings": self._load_warnings,
            "parameters": sum(parameter.numel() for parameter in loaded.model.parameters()),
            "worker_pid": os.getpid(),
        }

    def keep_quantized(self, *, config: dict[str, Any], folder: str) -> dict[str, Any]:
        """Write the weights that the load quantized, and read them again in the model's place: what that costs.

        ExperimentFailure where what is read is not what was written.
        """
        intent = ExperimentConfig.model_validate(config)
        written = layers_of(self._model.model)
        write_quantized(self._model.model, self._verified.path, self._verified.files, Path(folder))
        self._loaded, devices = None, self._model.devices
        devices.release_memory()
        with self._windows.open("load", devices.synchronize) as window:
            sources = Sources(model=replace(_source(self._verified, intent), quantized=Path(folder)))
            self._loaded = load_model(intent, sources, self.group)
        require_same(written, layers_of(self._model.model))
        return {
            "made_with": made_with(),
            "load_s": self._model.load_s,
            "load_peak_bytes": self._model.load_peak_bytes,
            "energy": [entry.to_dict() for entry in window.entries],
        }

    def compile(self, *, config: dict[str, Any]) -> dict[str, Any]:
        """Generate once so that everything is compiled: its time, energy and graph counts."""
        intent = ExperimentConfig.model_validate(config)
        self._model.state.reset()
        seen = self._observation()
        generator, _ = self._generator(intent, None)
        with self._windows.open("compile", self._model.devices.synchronize) as window:
            self._passes(generator).run(1)
        seen.count()
        generator.close()
        return {
            "compile_s": window.duration_s,
            "energy": [entry.to_dict() for entry in window.entries],
            "counts": seen.compile_counts,
            "evidence": self._evidence(intent, seen, level="load"),
        }

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
        self._model.state.reset()
        generator, prompts = self._generator(intent, prompts_digest)
        seen = self._observation()
        passes = self._passes(generator)
        found = calibrate(
            passes.timed_and_observed(seen),
            passes.timed(prefill_only=True),
            intent.warmup,
            min_window_s=min_window_s,
            energy_resolution=energy_resolution,
            reading=self._windows.reading,
            trial=passes.trial if self._windows.resolves() else None,
        )
        generator.close()
        # Recorded graphs hold memory of their own.
        self._model.state.reset()
        self._model.devices.release_memory()
        rows, (bad_logits, _) = self._all_rows(seen), self._logits(seen)
        return {
            **found.to_dict(),
            "expected_s": found.expected_s,
            "prompts": prompts.description,
            "prompts_digest": prompts.digest,
            "outputs": [
                {"request_index": place, "prompt_ids": list(prompt.input_ids), "output_ids": list(row.output_ids)}
                for place, (prompt, row) in enumerate(zip(prompts.prompts, rows, strict=True))
                # Tokens taken from logits that are not finite are no answer to compare with.
                if not bad_logits
            ],
        }

    def measure(
        self, *, config: dict[str, Any], calibration: dict[str, Any], reference: dict[str, Any]
    ) -> dict[str, Any]:
        """Warm up as calibrated, measure a full window and a prefill-only one, then compare answers.

        reference: {experiment_id, outputs}: the prompts and outputs of the study's reference, none where it failed
        """
        intent = ExperimentConfig.model_validate(config)
        plan = Calibration.from_dict(calibration)
        memory = self._memory
        assert memory is not None, "load comes first"
        self._model.state.reset()
        memory.begin()
        generator, prompts = self._generator(intent, calibration.get("prompts_digest"))
        windows, devices = self._windows, self._model.devices
        windows.meters.trace()
        heard = len(windows.meters.warnings)
        seen = self._observation()
        seen.fixed_output = intent.fixed_output
        passes = self._passes(generator)
        warmed = passes.warm(intent.warmup, plan, seen)

        memory.open_window()
        ran = passes.window("generate", plan.measured_passes, plan.pass_s)
        full, raw = ran.window, ran.raw
        peak = devices.peak_memory_bytes()
        ran_prefill = passes.window("prefill", plan.prefill_passes, plan.prefill_pass_s, prefill_only=True)
        prefill = ran_prefill.window
        seen.window_counts = {name: number + ran_prefill.counts[name] for name, number in ran.counts.items()}
        seen.count()
        windows.idle(intent, RESIDENT)

        requests = self._all_requests(generator.read(raw))
        timeline = generator.timeline(raw, ran.anchor) if self.group.size == 1 else None
        split, no_split = split_trace(full.intervals, timeline)
        if self.group.size > 1:
            no_split = "several processes are in different phases at a time"
        measured = Measured(
            requests=requests,
            # Of several processes the slowest says how long a pass took.
            pass_s=[
                max(each)
                for each in zip(*self.group.gather([generator.pass_seconds(item) for item in raw]), strict=True)
            ],
            window_s=full.duration_s,
            prefill_passes=plan.prefill_passes,
            prompt_tokens_per_pass=sum(len(prompt.input_ids) for prompt in prompts.prompts),
            requests_per_pass=len(prompts.prompts),
            peak_memory_bytes=sum(self.group.gather(peak)),
            driver_memory=driver_memory(full.facts, self._device_uuids()),
            split=split,
            no_split=no_split,
        )
        idle = windows.idle_entries(full.start_monotonic_s)
        entries = [*idle, *warmed.window.entries, *full.entries, *prefill.entries]
        figures = compute_metrics(measured, entries)
        evidence = self._evidence(intent, seen)
        generator.close()
        baselines = windows.baselines(full.start_monotonic_s)
        findings = [
            *ignored_settings(evidence),
            *logits_not_finite(*self._logits(seen)),
            *window_findings(plan, full, warmed.thermal, figures.metrics, seen),
            *full.findings,
            *energy_missing(prefill),
            *prefill.findings,
            *baseline_findings(baselines),
            *negative_energy(figures.energy),
        ]
        validity = judge(findings)
        warnings = each_once(
            [
                *self._load_warnings,
                *windows.meters.warnings[heard:],
                *self._of_every_process(seen.library_warnings),
                *choice_warnings(intent, seen),
                *(warning_of(finding) for finding in findings if finding.code != "setting-ignored"),
                *phase_warnings(figures.energy.phases),
                *varying_outputs(requests),
                *memory.warnings(),
                *self._model.state.warnings(),
            ]
        )
        result = {
            "status": "invalid" if validity["verdict"] == INVALID else "ok",
            "validity": validity,
            "evidence": evidence,
            "energy": [entry.to_dict() for entry in entries],
            "metrics": figures.metrics,
            "unknown": figures.unknown,
            "budget": figures.energy.budget,
            "phases": figures.energy.phases,
            "energy_source": figures.energy.source,
            "output_digest": digest_of(requests),
            "prompts": {**prompts.description, "digest": prompts.digest},
            "generation_config": plain_settings(seen.generation_config),
            "attention_kernels": None if seen.heard is None else seen.heard.attention_kernels,
            "calibration": {
                **plan.to_dict(),
                **dict.fromkeys(("latencies_s", "temperatures_c", "elapsed_s")),
            },
            "thermal": warmed.thermal.to_dict(),
            "graph_passes": warmed.graph_passes,
            "conditions": {
                "generate": full.facts,
                "prefill": prefill.facts,
                "idle_resident": [window.facts for window in baselines],
            },
            "snapshot": snapshot_identity(self._verified),
            "quantized_weights": self._quantized.to_dict(),
            "devices": self._described_devices(),
            "memory": {**memory.to_dict(), "driver": measured.driver_memory.to_dict()},
            "meters": windows.meters.describe(),
            "warnings": warnings,
            "worker_pid": os.getpid(),
        }
        rows = [request_row(request, prompts) for request in requests]
        power = windows.meters.trace()
        # Only now: no window is open, the trace has ended, and the next experiment warms up for itself.
        answer = compare_outputs(
            reference,
            [prompt.input_ids for prompt in prompts.prompts],
            [request.row.output_ids for request in first_pass(requests)],
        )
        del ran, ran_prefill, raw, requests
        # Else the memory of recorded graphs and of a static cache would be taken while the reference is scored.
        self._model.state.reset()
        scoring_failed = not self._add_score(answer, reference, intent, prompts)
        return {
            "record": {**result, "output_match": answer},
            "requests": rows,
            "power": power,
            "scoring_failed": scoring_failed,
        }

    def close(self) -> None:
        if self._opened is not None:
            self._opened.meters.close()
        self.group.close()

    # Parts ----------------------------------------------------------------------------------------------------

    def _device_uuids(self) -> list[str]:
        """Of the devices that hold parameters, in all processes."""
        return [uuid for uuids in self.group.gather(self._model.devices.uuids()) for uuid in uuids]

    @property
    def _windows(self) -> Windows:
        assert self._opened is not None, "load comes first"
        return self._opened

    @property
    def _model(self) -> LoadedModel:
        assert self._loaded is not None, "load comes first"
        return self._loaded

    @property
    def _verified(self) -> Snapshot:
        assert self._snapshots, "load comes first"
        return self._snapshots["model"]

    def _meters_of(self, intent: ExperimentConfig) -> Callable[[], MeterSet]:
        def opened() -> MeterSet:
            with refused_by("meters", MeterUnavailable):
                return open_meters(intent.energy) if self.group.leads else no_meters()

        return opened

    def _sources(self, intent: ExperimentConfig) -> Sources:
        sources = {role: _source(snapshot, intent) for role, snapshot in self._snapshots.items()}
        sources["model"] = replace(sources["model"], quantized=self._quantized.folder)
        return Sources(**sources)

    def _observation(self) -> Observation:
        return Observation(
            loaded=self._model, snapshots=self._snapshots, rank=self.group.rank, weights_from=self._quantized.in_words
        )

    def _evidence(
        self, intent: ExperimentConfig, seen: Observation, *, level: str | None = None
    ) -> dict[str, dict[str, Any]]:
        """What every process found: a setting that one of them ignored is ignored."""
        seen.replicas = self.group.gather(seen.replica())
        return worst_of(self.group.gather(collect(intent, seen, level=level)))

    def _of_every_process(self, warnings: Sequence[dict[str, str]]) -> list[dict[str, str]]:
        return each_once([warning for mine in self.group.gather(warnings) for warning in mine])

    def _logits(self, seen: Observation) -> tuple[int, int]:
        """Rows of logits that are not finite, and all rows, of the instrumented pass of every process."""
        assert seen.heard is not None, "the first warm-up pass is the instrumented one"
        found = self.group.counted(self.group.gather((seen.heard.logits.bad_rows, seen.heard.logits.rows)))
        return sum(bad for bad, _ in found), sum(rows for _, rows in found)

    def _described_devices(self) -> dict[str, Any]:
        mine, *others = self.group.gather(self._model.devices.describe())
        return {**mine, "processes": [mine, *others]} if others else mine

    def _all_requests(self, mine: list[Request]) -> list[Request]:
        """The requests of every process, batches numbered through."""
        merged: list[Request] = []
        for requests in self.group.counted(self.group.gather(mine)):
            before = 1 + max((request.batch_index for request in merged), default=-1)
            merged += [replace(request, batch_index=before + request.batch_index) for request in requests]
        return sorted(merged, key=lambda request: (request.pass_index, request.request_index))

    def _all_rows(self, seen: Observation) -> list[Row]:
        """What the instrumented pass of every process gave, in prompt order."""
        assert seen.generated is not None, "the first warm-up pass is the instrumented one"
        return [row for rows in self.group.counted(self.group.gather(seen.generated.rows)) for row in rows]

    def _generator(self, intent: ExperimentConfig, prompts_digest: str | None) -> tuple[Generator, PromptSet]:
        loaded = self._model
        with refused_by("prompts", PromptError):
            prompts = build_prompts(
                intent.dataset,
                n=intent.n_prompts,
                max_input_tokens=intent.max_input_tokens,
                tokenizer=loaded.tokenizer,
                seed=intent.random_seed,
                embedding_rows=embedding_rows(loaded.model),
            )
            require_digest(prompts, prompts_digest)
        shard = self.group.shard(len(prompts.prompts))
        mine = [prompt.input_ids for prompt in prompts.prompts[shard.first : shard.end]]
        return generator_for(intent, loaded, mine, first_request=shard.first), prompts

    def _passes(self, generator: Generator) -> Passes:
        return Passes(generator, self.group, self._model.devices, self._windows)

    def _add_score(
        self, answer: dict[str, Any], reference: dict[str, Any], intent: ExperimentConfig, prompts: PromptSet
    ) -> bool:
        """Add how likely the reference's answer is under this load. False where the library failed at it.

        It depends on the load alone, so one experiment of it finds out for all. A failure is no reason to lose what
        was measured: the log-probability stays null, with the reason.
        """
        if not answer["reference_tokens"]:
            return True
        key = (answer["reference"], prompts.digest)
        if key not in self._scores:
            try:
                self._scores[key] = mean_logprob(
                    self._model.model,
                    [row["prompt_ids"] for row in reference["outputs"]],
                    [row["output_ids"] for row in reference["outputs"]],
                    batch_size=intent.pytorch.batch_size or 1,
                    pad_token_id=pad_token(self._model.tokenizer, embedding_rows(self._model.model)),
                    device=self._model.input_device,
                )
            except ExperimentFailure as failure:
                print(failure.trace, file=sys.stderr, flush=True)
                answer["logprob_reason"] = f"{failure.error_class}: {failure.reason}"
                return False
        if math.isfinite(self._scores[key]):
            answer["reference_logprob_mean"] = self._scores[key]
        else:
            answer["logprob_reason"] = f"the model's log-probabilities are not finite: {self._scores[key]}"
        return True


def _source(snapshot: Snapshot, intent: ExperimentConfig) -> Source:
    return Source(snapshot.path, has_code=snapshot.may_run_code(intent.pytorch.trust_remote_code))
