"""Warm up and calibrate a batch."""

from pathlib import Path

from llenergymeasure.measurement.jobs import batch_title, read_json, run_job, setting_of
from llenergymeasure.measurement.outputs import write_outputs
from llenergymeasure.measurement.stages import run_warmup, write_json

with run_job(batch_title(snakemake)):
    record, outputs = run_warmup(setting_of(snakemake), snakemake.wildcards.batch_id, read_json(snakemake.input.record))
    write_outputs(outputs, Path(snakemake.output.outputs))
    write_json(record, Path(snakemake.output.calibration))
