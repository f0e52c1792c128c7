"""RO-Crate metadata of the results folder, last of all."""


rule crate:
    input:
        f"{RESULTS}/validation.json",
        f"{RESULTS}/summary.csv",
        f"{RESULTS}/report.html",
        f"{RESULTS}/summary.txt",
    output:
        metadata=f"{RESULTS}/ro-crate-metadata.json",
    log:
        f"{RESULTS}/logs/crate.log",
    conda:
        "../../envs/light.yaml"
    script:
        "../../scripts/crate.py"
