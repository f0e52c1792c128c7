"""A rerun against what it repeats."""

from pathlib import Path

from llenergymeasure.measurement.jobs import run_job
from llenergymeasure.results.errors import ResultsError
from llenergymeasure.results.rerun import write_comparison

with run_job(snakemake, "compare · the rerun with what it repeats", ResultsError):
    write_comparison(
        Path(snakemake.params.repeated), Path(snakemake.input.runs).parent, Path(snakemake.output.comparison)
    )
