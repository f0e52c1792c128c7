"""Fetch, convert or make one model, as a verified snapshot."""

from pathlib import Path

from llenergymeasure.config.lock import read_lock
from llenergymeasure.config.model_ref import parse_model_ref
from llenergymeasure.measurement.jobs import LOCK, run_job
from llenergymeasure.models.snapshot import SnapshotError, materialise

with run_job(f"model · {snakemake.params.model}", SnapshotError):
    reference = parse_model_ref(snakemake.params.model)
    materialise(
        reference,
        snakemake.params.revision,
        Path(snakemake.output.snapshot),
        lock=read_lock(LOCK),
        allow_code=True,
    )
