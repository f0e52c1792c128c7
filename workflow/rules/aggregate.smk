"""Statistics over replicates."""


rule aggregate:
    input:
        measurements=measured(RUN.paths.measurements),
        interim=interim_files,
        setups=lambda wildcards: RUN.inputs.load_records(),
    output:
        summary_csv=report(
            RUN.paths.summary_csv,
            category="Results",
            caption="../report/summary.rst",
        ),
        summary_parquet=RUN.paths.summary_parquet,
        runs=RUN.paths.runs,
        token_costs=RUN.paths.token_costs,
        latencies=RUN.paths.latencies,
    log:
        RUN.paths.log("aggregate"),
    conda:
        "../../envs/light.yaml"
    threads: 4
    params:
        plan=RUN.paths.plan,
        digest=RUN.index.digest,
        # A change of it aggregates again and does not trigger new measurements.
        slo=RUN.study.config.slo.model_dump(),
    script:
        "../../scripts/aggregate.py"
