"""Statistics over replicates."""

from pathlib import Path

from llenergymeasure.measurement.jobs import run_job
from llenergymeasure.results.aggregate import write_tables
from llenergymeasure.results.errors import ResultsError
from llenergymeasure.results.study_results import read_json, read_loads, read_records

with run_job("aggregate · means and intervals over replicates", ResultsError):
    plan = read_json(Path(snakemake.params.plan))
    output = snakemake.output
    write_tables(
        plan,
        read_records(plan, [Path(path) for path in snakemake.input.measurements]).records,
        read_loads(plan, [Path(path) for path in snakemake.input.loads]),
        csv=Path(output.summary_csv),
        parquet=Path(output.summary_parquet),
        runs=Path(output.runs),
    )
