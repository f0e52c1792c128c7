"""A study's folder as the pipeline leaves it, made from seeded random numbers instead of measurements."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llenergymeasure.config import CostsConfig, study_from_mapping
from llenergymeasure.energy.ledger import Span
from llenergymeasure.energy.uncertainty import Component
from llenergymeasure.pipeline.plan.plan import Plan, plan_from_study, write_plan
from llenergymeasure.records.files import REQUESTS
from llenergymeasure.records.measurement import MeasurementHead, MeasurementRecord
from llenergymeasure.records.metrics import METRICS
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.results.reading.read import StudyResults, read_loads, read_plan, read_study
from llenergymeasure.results.tables.aggregate import aggregate
from llenergymeasure.results.tables.costs import write_costs

ESTIMATED = "estimated:codecarbon"
NO_TRACE = "the meter gives no trace of the window"
MEASURED = "measured:nvml-total-energy"
MODEL = "random:llama?hidden_size=32&num_hidden_layers=2"
Change = Callable[[dict[str, Any]], None]


@dataclass
class StudyFolder:
    """results/<study>/: write it, break it, aggregate it, read it."""

    root: Path
    plan: Plan
    source: str = ESTIMATED
    tokens_per_request: int = 16
    requests: int = 8
    changes: dict[tuple[str, int], list[Change]] = field(default_factory=dict)
    costs: CostsConfig = field(default_factory=CostsConfig)

    @property
    def ids(self) -> list[str]:
        return list(self.plan.experiments)

    def change(self, experiment: int, replicate: int, change: Change) -> None:
        """Alter the record of one run (experiments by their place in the plan, replicates from 1)."""
        self.changes.setdefault((self.ids[experiment], replicate), []).append(change)

    def measurements(self) -> list[Path]:
        return [
            self.root / "sessions" / session / str(number) / "measurements.jsonl" for session, number in self.plan.order
        ]

    def setups(self) -> list[Path]:
        return [self.root / "setups" / name / "load.json" for name in self.plan.setup_ids]

    def write(self) -> StudyFolder:
        write_plan(self.plan, self.root / "plan.json")
        for path, setup_id in zip(self.setups(), self.plan.setup_ids, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(self._load(setup_id)), encoding="utf-8")
        for path, (session_id, replicate) in zip(self.measurements(), self.plan.order, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            lines, rows = [], []
            for name in self.plan.session(session_id).experiments:
                record, requests = self._record(name, session_id, replicate)
                for change in self.changes.get((name, replicate), []):
                    change(record)
                lines.append(json.dumps(record) + "\n")
                rows += requests if record["status"] != "failed" else []
            path.write_text("".join(lines), encoding="utf-8")
            pq.write_table(pa.Table.from_pylist(rows, schema=REQUESTS), path.with_name("requests.parquet"))
        return self

    def aggregate(self) -> StudyFolder:
        plan = read_plan(self.root / "plan.json", self.measurements(), [])
        aggregate(
            plan,
            self.measurements(),
            read_loads(plan, self.setups()),
            csv=self.root / "summary.csv",
            parquet=self.root / "summary.parquet",
            runs=self.root / "runs.parquet",
            latencies=self.root / "latencies.csv",
            token_costs_csv=self.root / "token_costs.csv",
        )
        write_costs(self.root / "summary.parquet", self.costs, self.root / "costs.csv")
        return self

    def read(self) -> StudyResults:
        return read_study(
            self.root / "plan.json",
            self.root / "summary.parquet",
            self.root / "runs.parquet",
            self.root / "costs.csv",
            self.root / "latencies.csv",
            self.measurements(),
            self.setups(),
        )

    def results(self) -> StudyResults:
        return self.write().aggregate().read()

    def _record(self, name: str, session_id: str, replicate: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """A record whose metrics follow from its requests and its ledger, as they do in a measurement."""
        entry = self.plan.experiments[name]
        random_ = random.Random(f"{name}/{replicate}")
        settings = entry.config["pytorch"]
        batch, slow = settings["batch_size"] or 1, 1.25 if settings["attn_implementation"] == "eager" else 1.0
        slow *= 2.1 if settings["load_in_8bit"] else 1.0
        drift = random_.gauss(1.0, 0.015)
        step_s, ttft_s = 0.019 * slow * drift * (0.9 + 0.1 * batch), 0.052 * slow * drift * (0.4 + 0.6 * batch)
        rows = []
        for index in range(self.requests):
            gaps = [step_s * random_.lognormvariate(0, 0.12) for _ in range(self.tokens_per_request - 1)]
            first = ttft_s * random_.lognormvariate(0, 0.08)
            digest = hashlib.sha256(f"{settings['load_in_8bit']}{index}".encode()).hexdigest()
            rows.append(
                {
                    "experiment_id": name,
                    "session_id": session_id,
                    "replicate": replicate,
                    "pass_index": index // 4,
                    "request_index": index % 4,
                    "batch_index": index % 4 // batch,
                    "prompt_digest": hashlib.sha256(str(index % 4).encode()).hexdigest(),
                    "input_tokens": 48,
                    "output_tokens": self.tokens_per_request,
                    "padded_tokens": 0,
                    "ttft_s": first,
                    "itl_s": gaps,
                    "e2e_latency_s": first + sum(gaps) + 0.001,
                    "stop_reason": "length",
                    "output_digest": digest,
                }
            )
        window_s = sum(row["e2e_latency_s"] for row in rows) / batch
        power_w = (28.0 if self.source == ESTIMATED else 310.0) * random_.gauss(1.0, 0.004)
        energy_j, tokens = power_w * window_s, self.requests * self.tokens_per_request
        prefill_j = power_w * sum(row["ttft_s"] for row in rows) / batch
        idle_w = 24.0 if self.source == ESTIMATED else 92.0
        uncertainty = 0.5 if self.source == ESTIMATED else 0.02
        metrics = {
            "throughput_output_tokens_per_s": tokens / window_s,
            "ttft_s": sum(row["ttft_s"] for row in rows) / len(rows),
            "tpot_s": sum(sum(row["itl_s"]) for row in rows) / len(rows) / max(self.tokens_per_request - 1, 1),
            "e2e_latency_s": sum(row["e2e_latency_s"] for row in rows) / len(rows),
            "peak_memory_bytes": int((640e6 if settings["load_in_8bit"] else 1.05e9) + 31e6 * batch + replicate * 1e5),
            "process_memory_bytes": None if self.source == ESTIMATED else int(2.1e9 + 31e6 * batch + replicate * 1e5),
            "output_tokens": tokens,
            "input_tokens": 48 * self.requests,
            "padded_tokens": 0,
            "requests": self.requests,
            "passes": 2,
            "window_s": window_s,
            "pass_cv": abs(random_.gauss(0.02, 0.01)),
            "energy_per_output_token_j": energy_j / tokens,
            "net_energy_per_output_token_j": (energy_j - idle_w * window_s) / tokens,
            "energy_per_request_j": energy_j / self.requests,
            "net_energy_per_request_j": (energy_j - idle_w * window_s) / self.requests,
            "baseline_power_w": idle_w,
            "baseline_share": idle_w * window_s / energy_j,
            "energy_per_prompt_token_j": prefill_j / (48 * self.requests),
            "prefill_energy_trace_j": None if self.source == ESTIMATED else 1.01 * prefill_j / self.requests,
            "decode_energy_trace_j": None
            if self.source == ESTIMATED
            else (energy_j - 1.01 * prefill_j) / self.requests,
            "prefill_energy_j": prefill_j / self.requests,
            "decode_energy_j": (energy_j - prefill_j) / self.requests,
            "average_power_w": power_w,
        }
        record = {
            "schema_version": SCHEMA_VERSION,
            "experiment_id": name,
            "session_id": session_id,
            "setup_id": entry.setup_id,
            "replicate": replicate,
            "status": "ok",
            "config": entry.config,
            "environment": environment(),
            "weights": {"model": "1d" * 32},
            "failure": None,
            "evidence": evidence(entry.config),
            "energy": [
                ledger_entry("generate", self.source, energy_j, window_s, uncertainty),
                ledger_entry("prefill", self.source, prefill_j, window_s / 4, uncertainty),
            ],
            "metrics": metrics,
            "budget": {
                name: [
                    {
                        "name": "tick",
                        "standard_uncertainty": 0.001 * abs(value),
                        "kind": "edge",
                        "distribution": "normal",
                    },
                    {
                        "name": "gain of the sensor",
                        "standard_uncertainty": uncertainty * abs(value),
                        "kind": "gain",
                        "distribution": "rectangular",
                    },
                ]
                for name, value in metrics.items()
                if METRICS[name].energy and value is not None
            },
            "validity": {"verdict": "valid", "reasons": []},
            "phases": None if self.source == ESTIMATED else phases(agrees=replicate != 2),
            "unknown": {
                **{name: NO_TRACE for name, value in metrics.items() if value is None and "trace" in name},
            },
            "energy_source": self.source,
            "output_digest": hashlib.sha256(str(settings["load_in_8bit"]).encode()).hexdigest(),
            "output_match": self._output_match(settings),
            "prompts": {**prompts(), "digest": "9f" * 32},
            **settings_as_run(),
            "snapshot": {
                "model": entry.config["model"],
                "source": "random",
                "revision": settings["revision"],
                "content_digest": "1d" * 32,
            },
            "devices": {"kind": "cpu", "threads": 2, "affinity": 2},
            "meters": {
                "meters": [],
                "devices": [{"meter": "codecarbon", "name": "RAM", "how": "a constant for the installed memory"}],
                "refused": [{"meter": "nvml", "reason": "NVML Shared Library Not Found"}],
            },
            "warnings": [],
            "worker_pid": 1000 + replicate,
        }
        return record, rows

    def _output_match(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Eight bits say something else than the reference, unless that has eight bits too."""
        reference = self.plan.experiments[self.plan.reference].config["pytorch"]
        same = settings["load_in_8bit"] == reference["load_in_8bit"]
        return {
            "reference": self.plan.reference,
            "comparable": True,
            "reason": None,
            "requests": 4,
            "identical": same,
            "identical_requests": 4 if same else 1,
            "first_difference": None if same else 3,
            "equal_token_share": 1.0 if same else 0.625,
            "reference_tokens": 4 * self.tokens_per_request,
            "reference_logprob_mean": -1.75 if same else -2.0,
            "logprob_reason": None,
        }

    def _load(self, setup_id: str) -> dict[str, Any]:
        settings = self.plan.setup_config(setup_id)["pytorch"]
        seconds = 9.4 if settings["load_in_8bit"] else 1.9
        return {
            "schema_version": SCHEMA_VERSION,
            "setup_id": setup_id,
            "status": "ok",
            "failure": None,
            "config": self.plan.setup_config(setup_id),
            "environment": environment(),
            "weights": {"model": "1d" * 32},
            "load_s": seconds,
            "energy": [ledger_entry("load", self.source, 27.0 * seconds, seconds, 0.5)],
            "memory": {
                "load_peak_bytes": 1_310_000_000 if settings["load_in_8bit"] else 1_120_000_000,
                "resident_bytes": 190_000_000 if settings["load_in_8bit"] else 540_000_000,
                "source": "resident set of the process (VmHWM)",
            },
            "compile": None,
            "evidence": {},
        }


def study_folder(
    root: Path,
    *,
    matrix: Mapping[str, Sequence[Any]] | None = None,
    replicates: int = 3,
    source: str = ESTIMATED,
    **more: Any,
) -> StudyFolder:
    """A folder of a study over `matrix` (2 attention kernels × 2 batch sizes where none is given), not yet written."""
    mapping = {
        "study": root.name,
        "defaults": {"model": MODEL, "precision": "fp32"},
        "matrix": matrix or {"pytorch.attn_implementation": ["sdpa", "eager"], "pytorch.batch_size": [1, 4]},
        "measurement": {"replicates": replicates},
        **more,
    }
    return StudyFolder(root, plan_from_study(study_from_mapping(mapping, source=None), existing=None), source)


def ledger_entry(phase: str, source: str, energy_j: float, duration_s: float, uncertainty: float) -> dict[str, Any]:
    budget = [Component("made up", uncertainty * energy_j, "gain", "rectangular")]
    return Span(phase, 10.0, 10.0 + duration_s).known("host", "cpu", source, energy_j, budget).to_dict()


def evidence(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    asked = {f"pytorch.{name}": value for name, value in config["pytorch"].items()}
    return {
        path: {
            "requested": value,
            "effective": value,
            "observed": f"seen as {value}",
            "verdict": "default" if value is None else "applied",
        }
        for path, value in {"precision": config["precision"], **asked}.items()
    }


def environment() -> dict[str, Any]:
    return {
        "fingerprint": "0123456789abcdef",
        "python": "3.11.7",
        "packages": {"torch": "2.13.0+cpu", "transformers": "5.23.0", "bitsandbytes": None},
        "system": "Linux-6.1-x86_64",
        "cpu": "Example CPU 2 GHz",
        "hostname": "bench",
        "git_commit": "ab" * 20,
        "git_dirty": False,
        "models_lock_sha256": None,
        "placement": {"workers": 1, "devices": [], "drawn": [], "cores": [], "alone": True},
        "libraries": {"cuda": None, "cudnn": None, "nccl": None},
    }


def phases(*, agrees: bool) -> dict[str, Any]:
    difference_j = 0.1 if agrees else 0.9
    return {
        "prefill_window_j": 3.0,
        "prefill_trace_j": 3.0 - difference_j,
        "difference_j": difference_j,
        "allowed_j": 0.5,
        "agrees": agrees,
    }


def prompts() -> dict[str, Any]:
    return {
        "source": "builtin",
        "name": None,
        "revision": None,
        "path": None,
        "column": None,
        "file_sha256": None,
        "n": 4,
        "kinds": {"text": 4},
        "input_tokens": {"min": 48, "mean": 48.0, "max": 48},
        "truncated": 0,
        "chat_template": "off",
        "message_content": None,
    }


def settings_as_run() -> dict[str, Any]:
    """What a record says of how its run went, which no table shows."""
    moment = {"in_use_bytes": 1, "private_bytes": 1, "reserved_bytes": None, "fragmented_bytes": None}
    calibration = {"warmup_passes": 3, "measured_passes": 2, "prefill_passes": 2, "pass_s": 0.3, "prefill_pass_s": 0.1}
    calibration |= {"cv": 0.01, "stable": True, "min_window_s": 0.5, "energy_resolution": 0.01}
    return {
        "generation_config": {"do_sample": False},
        "attention_kernels": [],
        "calibration": {
            **calibration,
            **dict.fromkeys(("latencies_s", "temperatures_c", "elapsed_s", "resolution_window_s")),
        },
        "thermal": {
            "target_c": None,
            "start_c": None,
            "cooled_s": 0.0,
            "extra_passes": 0,
            "window_c": None,
            "within_band": True,
        },
        "graph_passes": 0,
        "conditions": {"generate": {}, "prefill": {}, "idle_resident": []},
        "quantized_weights": None,
        "memory": {
            "at_start": moment,
            "at_window": moment,
            "left_behind_bytes": None,
            "peak_is_of_the_window": True,
            "driver": {"bytes": None, "reason": "no GPU holds parameters of the model", "source": "NVML"},
        },
    }


def fail(stage: str, error_class: str, reason: str) -> Change:
    """Turns a record into that of a run that gave no figures, as the manager writes it."""

    def change(record: dict[str, Any]) -> None:
        head = {name: record[name] for name in MeasurementHead.model_fields}
        failure = {"stage": stage, "class": error_class, "reason": reason, "log": f"results/logs/{stage}.log"}
        record.clear()
        record.update(MeasurementRecord.failed(head, failure).to_plain())

    return change


def ignore(path: str, observed: str) -> Change:
    """Makes a setting one that did not take effect."""

    def change(record: dict[str, Any]) -> None:
        record["status"] = "invalid"
        reason = {"code": "setting-ignored", "severity": "invalid", "message": f"{path} did not take effect"}
        record["validity"] = {"verdict": "invalid", "reasons": [reason]}
        record["evidence"][path] |= {"verdict": "ignored", "effective": None, "observed": observed}

    return change


def warn(code: str, message: str) -> Change:
    return lambda record: record["warnings"].append({"code": code, "message": message})


def doubt(code: str, message: str) -> Change:
    """Makes a run suspect."""

    def change(record: dict[str, Any]) -> None:
        reasons = [*record["validity"]["reasons"], {"code": code, "severity": "suspect", "message": message}]
        record["validity"] = {"verdict": "suspect", "reasons": reasons}

    return change


def without_energy(reason: str) -> Change:
    """A run that no meter watched."""

    def change(record: dict[str, Any]) -> None:
        record.update(energy=[], energy_source=None, phases=None, budget={})
        for name in record["metrics"]:
            if METRICS[name].energy or name == "baseline_share":
                record["metrics"][name] = None
                record["unknown"][name] = reason

    return change
