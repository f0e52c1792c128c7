"""Check every experiment of the plan against the installed libraries."""

import logging
from pathlib import Path

from llenergymeasure.config import StudyError
from llenergymeasure.config.study.lock import LockError
from llenergymeasure.pipeline.jobs import planned, run_job, tell_what_changed
from llenergymeasure.pipeline.provenance.rerun_record import RecordError
from llenergymeasure.pipeline.validation import validate_plan
from llenergymeasure.records.storage.atomic import write_json

with run_job(
    snakemake, "validate · every experiment against the installed libraries", StudyError, RecordError, LockError
):
    # What a library logs while it is imported is no problem of the study: it goes to the job's log.
    logging.basicConfig(filename=snakemake.log[0])
    tell_what_changed(snakemake)
    write_json(validate_plan(planned(snakemake)).to_plain(), Path(snakemake.output.record))
