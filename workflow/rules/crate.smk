"""RO-Crate metadata of the results folder: the last job."""


rule crate:
    input:
        RUN.paths.validation,
        RUN.paths.summary_csv,
        RUN.paths.report,
        RUN.paths.summary_text,
    output:
        metadata=RUN.paths.crate,
    log:
        RUN.paths.log("crate"),
    conda:
        "../../envs/light.yaml"
    script:
        "../../scripts/crate.py"
