"""Carbon and money from the joules and seconds that are there: changing them measures nothing again."""


rule costs:
    input:
        summary=f"{RESULTS}/summary.parquet",
    output:
        csv=report(
            f"{RESULTS}/costs.csv",
            category="Results",
            caption="../report/costs.rst",
        ),
    log:
        f"{RESULTS}/logs/costs.log",
    conda:
        "../../envs/light.yaml"
    params:
        costs=STUDY.config.costs.model_dump(),
    script:
        "../../scripts/costs.py"
