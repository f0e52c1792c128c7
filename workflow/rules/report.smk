"""One self-contained page, and the summary in five lines."""


rule report:
    input:
        summary=f"{RESULTS}/summary.parquet",
        runs=f"{RESULTS}/runs.parquet",
        costs=f"{RESULTS}/costs.csv",
        latencies=f"{RESULTS}/latencies.csv",
        measurements=measured("measurements.jsonl"),
        interim=interim_files,
        comparison=COMPARISON,
        setups=setups,
    output:
        html=report(
            f"{RESULTS}/report.html",
            category="Results",
            caption="../report/report.rst",
        ),
        summary=f"{RESULTS}/summary.txt",
    log:
        f"{RESULTS}/logs/report.log",
    conda:
        "../../envs/light.yaml"
    params:
        plan=PLAN_FILE,
    script:
        "../../scripts/report.py"
