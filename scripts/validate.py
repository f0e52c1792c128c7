"""Check every experiment of the plan against the installed libraries."""

from pathlib import Path

from llenergymeasure.config import StudyError
from llenergymeasure.measurement.jobs import planned, run_job
from llenergymeasure.measurement.stages import write_json
from llenergymeasure.measurement.validation import validate_plan

with run_job("validate · every experiment against the installed libraries", StudyError):
    write_json(validate_plan(planned(snakemake)), Path(snakemake.output.record))
