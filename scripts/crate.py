"""What the results folder contains, as RO-Crate metadata."""

from pathlib import Path

from llenergymeasure.pipeline.jobs import run_job
from llenergymeasure.results.crate.crate import write_crate
from llenergymeasure.results.reading.errors import ResultsError

with run_job(snakemake, "crate · what the results folder contains", ResultsError):
    write_crate(Path(snakemake.output.metadata).parent)
