"""Warm up and calibrate a session."""

from pathlib import Path

from llenergymeasure.models.snapshot import SnapshotError
from llenergymeasure.pipeline.jobs import open_warmup_journal, placed, read_json, run_job, session_title
from llenergymeasure.pipeline.stages import run_warmup, write_json
from llenergymeasure.records.outputs import write_outputs

with run_job(snakemake, session_title(snakemake), SnapshotError), placed(snakemake) as setting:
    journal = open_warmup_journal(snakemake)
    record, outputs = run_warmup(setting, snakemake.wildcards.session_id, read_json(snakemake.input.record), journal)
    write_outputs(outputs, Path(snakemake.output.outputs))
    write_json(record, Path(snakemake.output.calibration))
    journal.remove()
