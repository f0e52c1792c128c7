"""Where the files of a study lie, relative to the working directory, as rules name them.

What differs between jobs is a wildcard of Snakemake in braces: `{session_id}`, `{replicate}`, `{setup_id}`. Fill it in
with `str.format`.
"""

from __future__ import annotations

MODELS = "results/models"


class StudyPaths:
    """Paths as text: Snakemake compares them as text, and says so where it prints them."""

    # Studies share snapshots and quantized weights.
    snapshot = f"{MODELS}/{{key}}"
    # Which keys are those of a snapshot, as a regular expression for Snakemake's wildcards.
    snapshot_key = r".+(?<!\.quantized-[0-9a-f]{12})"
    quantized = f"{snapshot}.quantized-{{recipe}}"
    snapshot_log = f"{MODELS}/logs/{{key}}.log"
    quantized_log = f"{MODELS}/logs/{{key}}.quantized-{{recipe}}.log"
    digests = f"{MODELS}/.digests.json"

    def __init__(self, study: str) -> None:
        results = self.results = f"results/{study}"
        self.running_lock = f"{results}/.running.lock"
        self.plan = f"{results}/plan.json"
        self.pieces = f"{results}/plan"
        self.models_lock = f"{results}/provenance/models.lock.yaml"
        self.validation = f"{results}/validation.json"
        self.prompts = f"{results}/prompts/{{key}}.json"

        setup = f"{results}/setups/{{setup_id}}"
        self.load_record = f"{setup}/load.json"
        self.compile_cache = f"{setup}/compile-cache"
        session = f"{results}/sessions/{{session_id}}"
        self.calibration = f"{session}/calibration.json"
        self.outputs = f"{session}/outputs.parquet"
        replicate = f"{session}/{{replicate}}"
        self.measurements = f"{replicate}/measurements.jsonl"
        self.requests = f"{replicate}/requests.parquet"
        self.power = f"{replicate}/power.parquet"

        self.interim = f"{results}/interim/{{replicates}}.json"
        self.summary_csv = f"{results}/summary.csv"
        self.summary_parquet = f"{results}/summary.parquet"
        self.runs = f"{results}/runs.parquet"
        self.token_costs = f"{results}/token_costs.csv"
        self.latencies = f"{results}/latencies.csv"
        self.costs = f"{results}/costs.csv"
        self.comparison = f"{results}/comparison.csv"
        self.report = f"{results}/report.html"
        self.summary_text = f"{results}/summary.txt"
        self.crate = f"{results}/ro-crate-metadata.json"

    def log(self, job: str) -> str:
        """job: what tells a job from the others, such as `load/{setup_id}`."""
        return f"{self.results}/logs/{job}.log"
