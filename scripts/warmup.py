"""Warm up and calibrate a batch."""

from pathlib import Path

from llenergymeasure.measurement.jobs import batch_title, placed, read_json, run_job
from llenergymeasure.measurement.outputs import write_outputs
from llenergymeasure.measurement.stages import run_warmup, write_json

with run_job(batch_title(snakemake)), placed(snakemake) as setting:
    record, outputs = run_warmup(setting, snakemake.wildcards.batch_id, read_json(snakemake.input.record))
    write_outputs(outputs, Path(snakemake.output.outputs))
    write_json(record, Path(snakemake.output.calibration))
