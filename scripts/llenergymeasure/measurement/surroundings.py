"""What a run of Snakemake tells the processes of its jobs, through environment variables they all inherit."""

from __future__ import annotations

import os
from pathlib import Path

# How many devices `--resources gpu=N` offers on this machine.
WORKERS = "LLENERGYMEASURE_WORKERS"
# Where the conda environments' post-deploy scripts find the locks.
ENVIRONMENTS = "LLENERGYMEASURE_ENVS"
# The Snakemake that runs the jobs: a job whose Snakemake is killed ends too.
SNAKEMAKE = "LLENERGYMEASURE_SNAKEMAKE_PID"


def tell_jobs(*, environments: Path, workers: int) -> None:
    """Called where the Snakefile is read."""
    os.environ[WORKERS] = str(workers)
    os.environ[ENVIRONMENTS] = str(environments)
    os.environ[SNAKEMAKE] = str(os.getpid())


def offered_workers() -> int:
    return int(os.environ.get(WORKERS, "1"))


def snakemake_pid() -> int | None:
    """None where a script is run by hand."""
    found = os.environ.get(SNAKEMAKE)
    return None if found is None else int(found)
