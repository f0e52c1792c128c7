"""Compare a rerun with what it repeats."""

from pathlib import Path

from llenergymeasure.pipeline.jobs import run_job
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.tables.rerun_comparison import write_comparison

with run_job(snakemake, "compare · the rerun with what it repeats", ResultsError):
    write_comparison(
        Path(snakemake.params.repeated), Path(snakemake.input.runs).parent, Path(snakemake.output.comparison)
    )
