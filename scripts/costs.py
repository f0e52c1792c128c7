"""Carbon and money, from the summary."""

from pathlib import Path

from llenergymeasure.config import CostsConfig
from llenergymeasure.measurement.jobs import run_job
from llenergymeasure.results.costs import write_costs
from llenergymeasure.results.errors import ResultsError

with run_job(snakemake, "costs · carbon and money", ResultsError):
    costs = CostsConfig.model_validate(dict(snakemake.params.costs))
    write_costs(Path(snakemake.input.summary), costs, Path(snakemake.output.csv))
