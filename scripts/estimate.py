"""Print what the study will take: jobs, time, energy, memory, disk and download, all estimated."""

from pathlib import Path

from llenergymeasure.config.study.lock import read_lock
from llenergymeasure.pipeline.estimate.hardware import first_board, processor
from llenergymeasure.pipeline.estimate.study_estimate import Estimator
from llenergymeasure.pipeline.estimate.table import estimate_table
from llenergymeasure.pipeline.jobs import planned, run_job

with run_job(snakemake, "estimate · what the study will take"):
    plan = planned(snakemake)
    precisions = frozenset(entry.config["precision"] for entry in plan.experiments.values())
    estimator = Estimator(plan, read_lock(Path(snakemake.params.lock)), first_board(), processor(precisions))
    print(estimate_table(estimator.estimate()))
