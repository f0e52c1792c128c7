"""Load a model once and write what that cost."""

from pathlib import Path

from llenergymeasure.measurement.jobs import load_title, run_job, setting_of
from llenergymeasure.measurement.stages import run_load, write_json
from llenergymeasure.models.snapshot import SnapshotError

with run_job(load_title(snakemake), SnapshotError):
    record = run_load(setting_of(snakemake), snakemake.wildcards.load_id)
    write_json(record, Path(snakemake.output.record))
