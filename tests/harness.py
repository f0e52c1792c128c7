"""Run the pipeline as a user does: `snakemake` in a folder, on a study file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
TINY = (
    "random:llama?hidden_size=64&intermediate_size=128&num_hidden_layers=2"
    "&num_attention_heads=4&num_key_value_heads=2&vocab_size=300"
)
# What a call of Snakemake gets, for jobs that ask a simulated worker.
SIMULATED = {"PYTHONPATH": str(ROOT / "tests/simulated/hook")}

QUICK: dict[str, Any] = {
    "study": "quick",
    "defaults": {
        "model": TINY,
        "precision": "fp32",
        # Two tests run at once; on a tiny model a second thread only gets in the way.
        "cpu_threads": 1,
        "n_prompts": 3,
        "max_input_tokens": 48,
        "max_output_tokens": 4,
        "decoder": {"preset": "deterministic"},
        "warmup": {"passes": 1},
        "baseline": {"duration_s": 0.2},
    },
    "measurement": {"replicates": 1, "min_window_s": 0.3},
}


def study(**changes: Any) -> dict[str, Any]:
    """The quick study with top-level keys replaced; `defaults` and `measurement` are merged one level deep."""
    merged = {**QUICK, **changes}
    for section in ("defaults", "measurement"):
        merged[section] = {**QUICK[section], **changes.get(section, {})}
    return merged


@dataclass
class Done:
    """A finished `snakemake` call."""

    returncode: int
    output: str

    @property
    def jobs(self) -> dict[str, int]:
        """Jobs by rule, from Snakemake's own table."""
        return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", self.output, re.MULTILINE)}


@dataclass
class Pipeline:
    """A working directory."""

    directory: Path

    def write(self, content: Mapping[str, Any] | str, name: str = "study.yaml") -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(dict(content), sort_keys=False)
        path.write_text(text, encoding="utf-8")
        return path

    def snakemake(
        self,
        *arguments: str,
        configfile: str | None = "study.yaml",
        snakefile: Path = ROOT / "Snakefile",
        cores: int | None = 2,
        timeout_s: float = 580,
        **environment: str,
    ) -> Done:
        """Standard output and error together, as a terminal shows them."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)]
        command += ["--directory", str(self.directory), *arguments]
        if cores is not None:
            command += ["--cores", str(cores)]
        if configfile is not None:
            command += ["--configfile", configfile]
        done = subprocess.run(
            command,
            cwd=self.directory,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def results(self, name: str = "quick") -> Path:
        return self.directory / "results" / name

    def plan(self, name: str = "quick") -> dict[str, Any]:
        return json.loads((self.results(name) / "plan.json").read_text(encoding="utf-8"))

    def records(self, name: str = "quick") -> list[dict[str, Any]]:
        """Every line of every measurements.jsonl."""
        paths = sorted((self.results(name) / "sessions").glob("*/*/measurements.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
