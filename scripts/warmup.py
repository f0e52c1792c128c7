"""Warm up and calibrate a session."""

from pathlib import Path

from llenergymeasure.models.snapshot import SnapshotError
from llenergymeasure.pipeline.jobs import open_warmup_journal, placed, run_job, session_title
from llenergymeasure.pipeline.stages import run_warmup
from llenergymeasure.records.setup import LoadRecord
from llenergymeasure.records.storage.atomic import write_json
from llenergymeasure.records.storage.outputs import write_outputs
from llenergymeasure.records.storage.parsing import BrokenRecord, read_record

with run_job(snakemake, session_title(snakemake), SnapshotError, BrokenRecord), placed(snakemake) as setting:
    journal = open_warmup_journal(snakemake)
    loaded = read_record(LoadRecord, Path(snakemake.input.record))
    calibration, outputs = run_warmup(setting, snakemake.wildcards.session_id, loaded.failure, journal)
    write_outputs(outputs, Path(snakemake.output.outputs))
    write_json(calibration.to_plain(), Path(snakemake.output.calibration))
    journal.remove()
