"""Draw a new plan, as if nothing had been planned yet; results of batches with the same members stay."""

from pathlib import Path

from llenergymeasure.config import StudyError
from llenergymeasure.measurement.jobs import run_job, study_of
from llenergymeasure.measurement.validation import validate_study

with run_job("replan · a new plan", StudyError):
    validate_study(study_of(snakemake), Path(snakemake.params.plan), fresh=True)
