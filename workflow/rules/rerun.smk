"""A study measured again from its results folder, and the two against each other."""

COMPARES = REPEATED is not None and REPEATED.finished


rule compare:
    input:
        # Of what is repeated: only read, and nothing is measured again because it is newer.
        old=(
            [
                ancient(str(REPEATED.folder / name))
                for name in ("summary.parquet", "runs.parquet")
            ]
            if COMPARES
            else []
        ),
        summary=f"{RESULTS}/summary.parquet",
        runs=f"{RESULTS}/runs.parquet",
        measurements=measured("measurements.jsonl"),
        interim=interim_files,
    output:
        comparison=f"{RESULTS}/comparison.csv",
    log:
        f"{RESULTS}/logs/compare.log",
    conda:
        "../../envs/light.yaml"
    params:
        repeated=str(REPEATED.folder) if COMPARES else None,
    script:
        "../../scripts/compare.py"


# Where there is nothing to compare with, a rerun is a study like any other.
COMPARISON = [f"{RESULTS}/comparison.csv"] if COMPARES else []
