"""Where the files of a study are, relative to the working directory, as rules name them.

What differs between jobs is a Snakemake wildcard in braces: `{session_id}`, `{replicate}`, `{setup_id}`. `str.format`
fills it in.
"""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.records.storage.layout import Layout

MODELS = "results/models"


class StudyPaths:
    """Paths as text, because Snakemake compares and prints them as text."""

    # Studies share snapshots and quantized weights.
    snapshot = f"{MODELS}/{{key}}"
    # Which keys are those of a snapshot, as a regular expression for Snakemake's wildcards.
    snapshot_key = r".+(?<!\.quantized-[0-9a-f]{12})"
    quantized = f"{snapshot}.quantized-{{recipe}}"
    snapshot_log = f"{MODELS}/logs/{{key}}.log"
    quantized_log = f"{MODELS}/logs/{{key}}.quantized-{{recipe}}.log"
    digests = f"{MODELS}/.digests.json"

    def __init__(self, study: str) -> None:
        layout = Layout(Path("results", study))
        self.results = str(layout.folder)
        self.running_lock = f"{self.results}/.running.lock"
        self.plan = str(layout.plan)
        self.pieces = str(layout.pieces)
        self.models_lock = str(layout.pins)
        self.validation = str(layout.validation)
        self.prompts = str(layout.prompts("{key}"))

        self.load_record = str(layout.load("{setup_id}"))
        self.compile_cache = str(layout.compile_cache("{setup_id}"))
        self.calibration = str(layout.calibration("{session_id}"))
        self.calibrated = f"{self.results}/.calibrated"
        self.outputs = str(layout.outputs("{session_id}"))
        self.measurements = str(layout.measurements("{session_id}", "{replicate}"))
        self.requests = str(layout.requests("{session_id}", "{replicate}"))
        self.power = str(layout.power("{session_id}", "{replicate}"))

        self.interim = str(layout.interim("{replicates}"))
        self.summary_csv = str(layout.summary_csv)
        self.summary_parquet = str(layout.summary_parquet)
        self.runs = str(layout.runs)
        self.token_costs = str(layout.token_costs)
        self.latencies = str(layout.latencies)
        self.costs = str(layout.costs)
        self.comparison = str(layout.comparison)
        self.report = str(layout.report)
        self.summary_text = str(layout.summary_txt)
        self.crate = str(layout.crate)

    def log(self, job: str) -> str:
        """The log of a job; job: what identifies it, such as `load/{setup_id}`."""
        return f"{self.results}/logs/{job}.log"
