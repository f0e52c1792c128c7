"""Render, encode and check every prompt of a study with its model's tokenizer, before a device is held.

One job per snapshot. Its result is an input of setups and warm-ups that are still to do. It is not a reason to repeat
one.
"""


rule prompts:
    input:
        model=RUN.paths.snapshot,
    output:
        record=RUN.paths.prompts,
    log:
        RUN.paths.log("prompts/{key}"),
    wildcard_constraints:
        key=RUN.paths.snapshot_key,
    priority: RUN.priorities.prompts
    # The job finds mistakes in the study or the model; a second try finds them again.
    retries: 0
    conda:
        "../../envs/inference.yaml"
    resources:
        quiet=RUN.call.machine.quiet,
    params:
        plan=RUN.paths.plan,
        digest=RUN.params.prompts_digest,
    script:
        "../../scripts/prompts.py"
