"""Check the prompts of every experiment of one model with its tokenizer."""

from pathlib import Path

from llenergymeasure.config import StudyError
from llenergymeasure.models.snapshot import SnapshotError
from llenergymeasure.pipeline.jobs import planned, run_job
from llenergymeasure.pipeline.prompt_check import check_prompts
from llenergymeasure.records.storage.atomic import write_json

folder = Path(snakemake.input.model)
with run_job(snakemake, f"prompts · {folder.name}", StudyError, SnapshotError):
    record = check_prompts(planned(snakemake), folder, log=Path(snakemake.log[0]))
    write_json(record.to_plain(), Path(snakemake.output.record))
