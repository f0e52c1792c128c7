"""Statistics over replicates."""


rule aggregate:
    input:
        measurements=measured("measurements.jsonl"),
        interim=interim_files,
        setups=setups,
    output:
        summary_csv=report(
            f"{RESULTS}/summary.csv",
            category="Results",
            caption="../report/summary.rst",
        ),
        summary_parquet=f"{RESULTS}/summary.parquet",
        runs=f"{RESULTS}/runs.parquet",
        token_costs=f"{RESULTS}/token_costs.csv",
        latencies=f"{RESULTS}/latencies.csv",
    log:
        f"{RESULTS}/logs/aggregate.log",
    conda:
        "../../envs/light.yaml"
    threads: 4
    params:
        plan=PLAN_FILE,
        digest=PLAN.digest,
    script:
        "../../scripts/aggregate.py"
