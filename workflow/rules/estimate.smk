"""What a study will take, before it is measured. Needs no network and no GPU."""


rule estimate:
    log:
        RUN.paths.log("estimate"),
    conda:
        "../../envs/inference.yaml"
    params:
        plan=RUN.paths.plan,
        lock=str(RUN.models_lock),
    script:
        "../../scripts/estimate.py"
