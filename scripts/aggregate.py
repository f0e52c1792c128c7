"""Statistics over replicates."""

from pathlib import Path

from llenergymeasure.measurement.jobs import run_job
from llenergymeasure.results.aggregate import write_tables
from llenergymeasure.results.errors import ResultsError
from llenergymeasure.results.latencies import read_latencies, write_latencies
from llenergymeasure.results.study_results import read_loads, read_plan, read_records
from llenergymeasure.results.token_costs import token_costs, write_token_costs

with run_job("aggregate · means and intervals over replicates", ResultsError):
    output = snakemake.output
    measurements = [Path(path) for path in snakemake.input.measurements]
    looks = [Path(path) for path in snakemake.input.look]
    plan = read_plan(Path(snakemake.params.plan), measurements, looks)
    records = read_records(plan, measurements).records
    write_tables(
        plan,
        records,
        read_loads(plan, [Path(path) for path in snakemake.input.loads]),
        csv=Path(output.summary_csv),
        parquet=Path(output.summary_parquet),
        runs=Path(output.runs),
    )
    valid = {(record["experiment_id"], record["replicate"]) for record in records if record["status"] == "ok"}
    requests = [path.with_name("requests.parquet") for path in measurements]
    write_latencies(read_latencies(requests, valid, plan["nominal_level"]), Path(output.latencies))
    write_token_costs(token_costs(plan, records), Path(output.token_costs))
