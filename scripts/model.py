"""Fetch, convert or make one model, as a verified snapshot."""

from pathlib import Path

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import LockError, read_lock
from llenergymeasure.models.snapshot import SnapshotError
from llenergymeasure.pipeline.jobs import run_job
from llenergymeasure.pipeline.model_stage import run_model
from llenergymeasure.processes.inherited import models_lock

made_from = snakemake.params.made_from
is_adapter = made_from.get("is_adapter", False)
with run_job(snakemake, f"model · {made_from['model']}", SnapshotError, LockError):
    # Code is taken only where the lock has its hashes. Whether it runs is the experiment's choice.
    run_model(
        parse_model_ref(made_from["model"]),
        made_from["revision"],
        Path(snakemake.output.snapshot),
        lock=read_lock(models_lock()),
        allow_code=not is_adapter,
        is_adapter=is_adapter,
        log=Path(snakemake.log[0]),
    )
