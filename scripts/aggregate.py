"""Statistics over replicates."""

from pathlib import Path

from llenergymeasure.config import SloConfig
from llenergymeasure.pipeline.jobs import run_job
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.reading.read import read_loads, read_plan
from llenergymeasure.results.tables.aggregate import aggregate

with run_job(snakemake, "aggregate · means and intervals over replicates", ResultsError):
    output = snakemake.output
    measurements = [Path(path) for path in snakemake.input.measurements]
    interim = [Path(path) for path in snakemake.input.interim]
    plan = read_plan(Path(snakemake.params.plan), measurements, interim)
    aggregate(
        plan,
        measurements,
        read_loads(plan, [Path(path) for path in snakemake.input.setups]),
        csv=Path(output.summary_csv),
        parquet=Path(output.summary_parquet),
        runs=Path(output.runs),
        latencies=Path(output.latencies),
        token_costs_csv=Path(output.token_costs),
        slo=SloConfig.model_validate(dict(snakemake.params.slo)),
        processes=snakemake.threads,
    )
