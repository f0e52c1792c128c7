"""Load a model once and write what that cost."""

from pathlib import Path

from llenergymeasure.models.snapshot import SnapshotError
from llenergymeasure.pipeline.jobs import load_title, placed, run_job
from llenergymeasure.pipeline.stages import run_load
from llenergymeasure.records.storage.atomic import write_json
from llenergymeasure.records.storage.parsing import BrokenRecord

with run_job(snakemake, load_title(snakemake), SnapshotError, BrokenRecord), placed(snakemake) as setting:
    record = run_load(setting, snakemake.wildcards.setup_id)
    write_json(record.to_plain(), Path(snakemake.output.record))
