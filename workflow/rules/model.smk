"""Models as pinned artifacts, and the pins themselves.

Studies share snapshots, so nothing of one study may be an input here.
"""


rule model:
    output:
        snapshot=directory("results/models/{key}"),
    log:
        "results/models/logs/{key}.log",
    priority: 3 * len(PLAN.order)
    conda:
        "../../envs/inference.yaml"
    # A conversion keeps the processor busy: it claims the machine like everything that is measured.
    resources:
        quiet=1,
    params:
        model=lambda wildcards: PLAN.load_config(LOAD_OF_MODEL[wildcards.key])["model"],
        revision=lambda wildcards: PLAN.load_config(LOAD_OF_MODEL[wildcards.key])[
            "pytorch"
        ]["revision"],
    script:
        "../../scripts/model.py"


rule pin:
    log:
        f"{RESULTS}/logs/pin.log",
    conda:
        "../../envs/inference.yaml"
    params:
        lock=str(LOCK),
    script:
        "../../scripts/pin.py"
