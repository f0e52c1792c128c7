"""Check every experiment against the installed libraries and write the plan."""

from pathlib import Path

from llenergymeasure.config import StudyError
from llenergymeasure.measurement.jobs import run_job, study_of
from llenergymeasure.measurement.validation import validate_study

with run_job("validate · every experiment against the installed libraries", StudyError):
    validate_study(study_of(snakemake), Path(snakemake.output.plan))
