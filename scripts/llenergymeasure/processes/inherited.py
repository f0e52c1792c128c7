"""What a run of Snakemake passes to the processes of its jobs, through environment variables they all inherit."""

from __future__ import annotations

import os
from pathlib import Path

from llenergymeasure.config.study.study import DEFAULT_LOCK

# How many devices `--resources gpu=N` offers on this machine.
WORKERS = "LLENERGYMEASURE_WORKERS"
# Where the conda environments' post-deploy scripts find the locks.
ENVIRONMENTS = "LLENERGYMEASURE_ENVS"
# Where jobs find the pins of hub models: a rerun has its own.
MODELS_LOCK = "LLENERGYMEASURE_MODELS_LOCK"
# Patience with a worker, for jobs whose outputs no study owns: a parameter that changes would make them again.
EXPERIMENT_TIMEOUT = "LLENERGYMEASURE_EXPERIMENT_TIMEOUT_S"
# Whether the study ends with a model that cannot be had, for the job that makes models, which no study owns.
STOP_ON_FAILURE = "LLENERGYMEASURE_STOP_ON_FAILURE"
# The Snakemake that runs the jobs: a job whose Snakemake is killed ends too.
SNAKEMAKE = "LLENERGYMEASURE_SNAKEMAKE_PID"


def tell_jobs(
    *, environments: Path, workers: int, models_lock: Path, experiment_timeout_s: float, stop_on_failure: bool
) -> None:
    """Set the variables. Called while Snakemake reads the Snakefile."""
    os.environ[MODELS_LOCK] = str(models_lock)
    os.environ[EXPERIMENT_TIMEOUT] = str(experiment_timeout_s)
    os.environ[STOP_ON_FAILURE] = str(int(stop_on_failure))
    os.environ[WORKERS] = str(workers)
    os.environ[ENVIRONMENTS] = str(environments)
    os.environ[SNAKEMAKE] = str(os.getpid())


def offered_workers() -> int:
    return int(os.environ.get(WORKERS, "1"))


def environments_folder() -> Path | None:
    """None where a script is run by hand."""
    folder = os.environ.get(ENVIRONMENTS)
    return None if folder is None else Path(folder)


def models_lock() -> Path:
    return Path(os.environ.get(MODELS_LOCK, DEFAULT_LOCK))


def experiment_timeout_s() -> float:
    return float(os.environ[EXPERIMENT_TIMEOUT])


def stop_on_failure() -> bool:
    return os.environ.get(STOP_ON_FAILURE, "1") == "1"


def snakemake_pid() -> int | None:
    """None where a script is run by hand."""
    pid = os.environ.get(SNAKEMAKE)
    return None if pid is None else int(pid)
