"""A study measured again from its results folder, and the two against each other."""


rule compare:
    input:
        # The tables of the repeated study are only read. Newer ones do not trigger new measurements.
        old=(
            [
                ancient(str(RUN.compared_with / name))
                for name in ("summary.parquet", "runs.parquet")
            ]
            if RUN.compared_with
            else []
        ),
        summary=RUN.paths.summary_parquet,
        runs=RUN.paths.runs,
        measurements=measured(RUN.paths.measurements),
        interim=interim_files,
    output:
        comparison=RUN.paths.comparison,
    log:
        RUN.paths.log("compare"),
    conda:
        "../../envs/light.yaml"
    params:
        repeated=str(RUN.compared_with) if RUN.compared_with else None,
        margin=RUN.rerun.asked.within.margin if RUN.rerun else None,
        day_sd=RUN.rerun.asked.within.day_sd if RUN.rerun else None,
    script:
        "../../scripts/compare.py"
