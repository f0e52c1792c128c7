"""Compare a rerun with what it repeats."""

from pathlib import Path

from llenergymeasure.pipeline.jobs import run_job
from llenergymeasure.records.study.equivalence import Equivalence
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.tables.rerun_comparison import write_comparison

with run_job(snakemake, "compare · the rerun with what it repeats", ResultsError):
    files, params = snakemake.input, snakemake.params
    within = Equivalence(params.margin, params.day_sd)
    write_comparison(Path(params.repeated), Path(files.runs).parent, Path(snakemake.output.comparison), within)
