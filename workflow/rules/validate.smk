"""Check every experiment against the installed libraries.

Nothing depends on this job in the graph: whoever adds an experiment does not want the others measured again. It
goes first all the same, by its priority and because it claims the machine.
"""


rule validate:
    output:
        record=f"{RESULTS}/validation.json",
    log:
        f"{RESULTS}/logs/validate.log",
    priority: 4 * JOBS
    # Whatever `--retries` says: what it finds is a mistake in the study, and a second look finds it again.
    retries: 0
    conda:
        "../../envs/inference.yaml"
    resources:
        quiet=QUIET,
    params:
        plan=PLAN_FILE,
        digest=PLAN.digest,
    script:
        "../../scripts/validate.py"


rule replan:
    log:
        f"{RESULTS}/logs/replan.log",
    conda:
        "../../envs/light.yaml"
    params:
        plan=PLAN_FILE,
    shell:
        "echo 'a new plan is in {params.plan}' | tee {log}"
