"""Carbon and money, from the summary."""

from pathlib import Path

from llenergymeasure.config import CostsConfig
from llenergymeasure.pipeline.jobs import run_job
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.tables.costs import write_costs

with run_job(snakemake, "costs · carbon and money", ResultsError):
    costs = CostsConfig.model_validate(dict(snakemake.params.costs))
    write_costs(Path(snakemake.input.summary), costs, Path(snakemake.output.csv))
