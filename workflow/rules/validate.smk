"""Check every experiment against the installed libraries, and write the plan."""


rule validate:
    output:
        # Kept while the job runs: the new plan extends the one that is there.
        plan=update(f"{RESULTS}/plan.json"),
    log:
        f"{RESULTS}/logs/validate.log",
    priority: 4 * len(PLAN.order)
    conda:
        "../../envs/inference.yaml"
    params:
        digest=PLAN.digest,
    script:
        "../../scripts/validate.py"


rule replan:
    log:
        f"{RESULTS}/logs/replan.log",
    conda:
        "../../envs/inference.yaml"
    params:
        plan=f"{RESULTS}/plan.json",
    script:
        "../../scripts/replan.py"
