"""Statistics over replicates."""

from pathlib import Path

from llenergymeasure.measurement.jobs import run_job
from llenergymeasure.results.aggregate import aggregate
from llenergymeasure.results.errors import ResultsError
from llenergymeasure.results.study_results import read_loads, read_plan

with run_job(snakemake, "aggregate · means and intervals over replicates", ResultsError):
    output = snakemake.output
    measurements = [Path(path) for path in snakemake.input.measurements]
    looks = [Path(path) for path in snakemake.input.look]
    plan = read_plan(Path(snakemake.params.plan), measurements, looks)
    aggregate(
        plan,
        measurements,
        read_loads(plan, [Path(path) for path in snakemake.input.loads]),
        csv=Path(output.summary_csv),
        parquet=Path(output.summary_parquet),
        runs=Path(output.runs),
        latencies=Path(output.latencies),
        token_costs_csv=Path(output.token_costs),
        processes=snakemake.threads,
    )
