"""Statistics over replicates."""

from pathlib import Path

from llenergymeasure.measurement.jobs import run_job
from llenergymeasure.results.aggregate import write_tables
from llenergymeasure.results.errors import ResultsError
from llenergymeasure.results.study_results import read_json, read_loads, read_records
from llenergymeasure.results.token_costs import token_costs, write_token_costs

with run_job("aggregate · means and intervals over replicates", ResultsError):
    plan = read_json(Path(snakemake.params.plan))
    output = snakemake.output
    records = read_records(plan, [Path(path) for path in snakemake.input.measurements]).records
    write_tables(
        plan,
        records,
        read_loads(plan, [Path(path) for path in snakemake.input.loads]),
        csv=Path(output.summary_csv),
        parquet=Path(output.summary_parquet),
        runs=Path(output.runs),
    )
    write_token_costs(token_costs(plan, records), Path(output.token_costs))
