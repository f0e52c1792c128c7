"""Carbon and money from the measured joules and seconds. A change of prices does not trigger new measurements."""


rule costs:
    input:
        summary=RUN.paths.summary_parquet,
    output:
        csv=report(
            RUN.paths.costs,
            category="Results",
            caption="../report/costs.rst",
        ),
    log:
        RUN.paths.log("costs"),
    conda:
        "../../envs/light.yaml"
    params:
        costs=RUN.study.config.costs.model_dump(),
    script:
        "../../scripts/costs.py"
