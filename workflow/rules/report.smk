"""One self-contained page, and the summary in five lines."""


rule report:
    input:
        summary=RUN.paths.summary_parquet,
        runs=RUN.paths.runs,
        costs=RUN.paths.costs,
        latencies=RUN.paths.latencies,
        measurements=measured(RUN.paths.measurements),
        interim=interim_files,
        comparison=[RUN.paths.comparison] if RUN.compared_with else [],
        setups=lambda wildcards: RUN.inputs.load_records(),
    output:
        html=report(
            RUN.paths.report,
            category="Results",
            caption="../report/report.rst",
        ),
        summary=RUN.paths.summary_text,
    log:
        RUN.paths.log("report"),
    conda:
        "../../envs/light.yaml"
    params:
        plan=RUN.paths.plan,
    script:
        "../../scripts/report.py"
