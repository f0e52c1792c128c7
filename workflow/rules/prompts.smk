"""Render, encode and check every prompt of a study with its model's tokenizer, before a device is held.

One job per snapshot. Its result is an input of setups and warm-ups that are still to do, and no reason to repeat one.
"""


rule prompts:
    input:
        model="results/models/{key}",
    output:
        record=f"{RESULTS}/prompts/{{key}}.json",
    log:
        f"{RESULTS}/logs/prompts/{{key}}.log",
    wildcard_constraints:
        key=SNAPSHOT,
    priority: 3 * JOBS
    # What it finds is a mistake in the study or the model; a second try finds it again.
    retries: 0
    conda:
        "../../envs/inference.yaml"
    resources:
        quiet=QUIET,
    params:
        plan=PLAN_FILE,
        digest=lambda wildcards: PLAN.prompts[wildcards.key],
    script:
        "../../scripts/prompts.py"
