"""One run of a made-up study: its requests and its record, from seeded random numbers."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any

from results.record_parts import environment, evidence, ledger_entry, phases, prompts, settings_as_run

from llenergymeasure.records.metrics import METRICS
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.study.plan import Plan

ESTIMATED = "estimated:codecarbon"
NO_TRACE = "the meter gives no trace of the window"


class MadeUpRun:
    """An experiment in one replicate. Its metrics follow from its requests and its ledger, as they do in a measurement.

    rows: its requests, as in requests.parquet
    """

    def __init__(
        self,
        plan: Plan,
        name: str,
        session_id: str,
        replicate: int,
        source: str,
        requests: int,
        tokens_per_request: int,
    ) -> None:
        self.plan, self.name, self.session_id, self.replicate = plan, name, session_id, replicate
        self.source, self.requests, self.tokens_per_request = source, requests, tokens_per_request
        self._entry = plan.experiments[name]
        self._settings = self._entry.config["pytorch"]
        self._batch = self._settings["batch_size"] or 1
        self._random = random.Random(f"{name}/{replicate}")
        self._estimated = source == ESTIMATED
        self.rows = self._rows()
        self._window_s = sum(row["e2e_latency_s"] for row in self.rows) / self._batch
        power_w = (28.0 if self._estimated else 310.0) * self._random.gauss(1.0, 0.004)
        self._energy_j = power_w * self._window_s
        self._prefill_j = power_w * sum(row["ttft_s"] for row in self.rows) / self._batch
        self._power_w = power_w

    def record(self) -> dict[str, Any]:
        metrics = self._metrics()
        uncertainty = 0.5 if self._estimated else 0.02
        return {
            "schema_version": SCHEMA_VERSION,
            "experiment_id": self.name,
            "session_id": self.session_id,
            "setup_id": self._entry.setup_id,
            "replicate": self.replicate,
            "begun_unix_s": 1.79e9 + 1000.0 * self.replicate,
            "status": "ok",
            "config": self._entry.config,
            "environment": environment(),
            "weights": {"model": "1d" * 32},
            "failure": None,
            "evidence": evidence(self._entry.config),
            "energy": [
                ledger_entry("generate", self.source, self._energy_j, self._window_s, uncertainty),
                ledger_entry("prefill", self.source, self._prefill_j, self._window_s / 4, uncertainty),
            ],
            "metrics": metrics,
            "budget": {
                name: budget(abs(value), uncertainty)
                for name, value in metrics.items()
                if METRICS[name].energy and value is not None
            },
            "validity": {"verdict": "valid", "reasons": []},
            "phases": None if self._estimated else phases(agrees=self.replicate != 2),
            "unknown": {name: NO_TRACE for name, value in metrics.items() if value is None and "trace" in name},
            "energy_source": self.source,
            "output_digest": hashlib.sha256(str(self._settings["load_in_8bit"]).encode()).hexdigest(),
            "output_match": self._output_match(self._settings),
            "prompts": {**prompts(), "digest": "9f" * 32},
            **settings_as_run(),
            "snapshot": {
                "model": self._entry.config["model"],
                "source": "random",
                "revision": self._settings["revision"],
                "content_digest": "1d" * 32,
            },
            "devices": {"kind": "cpu", "threads": 2, "affinity": 2},
            "meters": {
                "meters": [],
                "devices": [{"meter": "codecarbon", "name": "RAM", "how": "a constant for the installed memory"}],
                "refused": [{"meter": "nvml", "reason": "NVML Shared Library Not Found"}],
            },
            "warnings": [],
            "worker_pid": 1000 + self.replicate,
        }

    def _rows(self) -> list[dict[str, Any]]:
        slow = 1.25 if self._settings["attn_implementation"] == "eager" else 1.0
        slow *= 2.1 if self._settings["load_in_8bit"] else 1.0
        slow *= self._random.gauss(1.0, 0.015)
        step_s, ttft_s = 0.019 * slow * (0.9 + 0.1 * self._batch), 0.052 * slow * (0.4 + 0.6 * self._batch)
        return [self._row(index, step_s, ttft_s) for index in range(self.requests)]

    def _row(self, index: int, step_s: float, ttft_s: float) -> dict[str, Any]:
        gaps = [step_s * self._random.lognormvariate(0, 0.12) for _ in range(self.tokens_per_request - 1)]
        first = ttft_s * self._random.lognormvariate(0, 0.08)
        return {
            "experiment_id": self.name,
            "session_id": self.session_id,
            "replicate": self.replicate,
            "pass_index": index // 4,
            "request_index": index % 4,
            "batch_index": index % 4 // self._batch,
            "prompt_digest": hashlib.sha256(str(index % 4).encode()).hexdigest(),
            "input_tokens": 48,
            "output_tokens": self.tokens_per_request,
            "padded_tokens": 0,
            "ttft_s": first,
            "itl_s": gaps,
            "e2e_latency_s": first + sum(gaps) + 0.001,
            "stop_reason": "length",
            "output_digest": hashlib.sha256(f"{self._settings['load_in_8bit']}{index}".encode()).hexdigest(),
        }

    def _metrics(self) -> dict[str, Any]:
        rows, requests, window_s, energy_j, prefill_j = (
            *(self.rows, self.requests, self._window_s),
            *(self._energy_j, self._prefill_j),
        )
        tokens, idle_w = requests * self.tokens_per_request, 24.0 if self._estimated else 92.0
        more_bytes = 31e6 * self._batch + self.replicate * 1e5
        return {
            "throughput_output_tokens_per_s": tokens / window_s,
            "ttft_s": sum(row["ttft_s"] for row in rows) / len(rows),
            "tpot_s": sum(sum(row["itl_s"]) for row in rows) / len(rows) / max(self.tokens_per_request - 1, 1),
            "e2e_latency_s": sum(row["e2e_latency_s"] for row in rows) / len(rows),
            "peak_memory_bytes": int((640e6 if self._settings["load_in_8bit"] else 1.05e9) + more_bytes),
            "process_memory_bytes": None if self._estimated else int(2.1e9 + more_bytes),
            "output_tokens": tokens,
            "input_tokens": 48 * requests,
            "padded_tokens": 0,
            "requests": requests,
            "passes": 2,
            "window_s": window_s,
            "pass_cv": abs(self._random.gauss(0.02, 0.01)),
            "energy_per_output_token_j": energy_j / tokens,
            "net_energy_per_output_token_j": (energy_j - idle_w * window_s) / tokens,
            "energy_per_request_j": energy_j / requests,
            "net_energy_per_request_j": (energy_j - idle_w * window_s) / requests,
            "baseline_power_w": idle_w,
            "baseline_share": idle_w * window_s / energy_j,
            "energy_per_prompt_token_j": prefill_j / (48 * requests),
            "prefill_energy_trace_j": None if self._estimated else 1.01 * prefill_j / requests,
            "decode_energy_trace_j": None if self._estimated else (energy_j - 1.01 * prefill_j) / requests,
            "prefill_energy_j": prefill_j / requests,
            "decode_energy_j": (energy_j - prefill_j) / requests,
            "average_power_w": self._power_w,
        }

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


def budget(figure: float, uncertainty: float) -> list[dict[str, Any]]:
    """Of an energy figure: a tick of a thousandth, and the sensor's gain."""
    rows = (("tick", 0.001, "edge", "normal"), ("gain of the sensor", uncertainty, "gain", "rectangular"))
    return [
        {"name": name, "standard_uncertainty": share * figure, "kind": kind, "distribution": distribution}
        for name, share, kind, distribution in rows
    ]
