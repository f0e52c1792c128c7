"""Check every experiment against the installed libraries.

No job depends on this one in the graph: whoever adds an experiment does not want the others measured again. It
runs first anyway, by its priority and because it claims the machine.
"""


rule validate:
    output:
        record=RUN.paths.validation,
    log:
        RUN.paths.log("validate"),
    priority: RUN.priorities.validate
    # Whatever `--retries` says: the job finds mistakes in the study, and a second try finds them again.
    retries: 0
    conda:
        "../../envs/inference.yaml"
    resources:
        quiet=RUN.call.machine.quiet,
    params:
        plan=RUN.paths.plan,
        digest=RUN.index.digest,
    script:
        "../../scripts/validate.py"


rule replan:
    log:
        RUN.paths.log("replan"),
    conda:
        "../../envs/light.yaml"
    params:
        plan=RUN.paths.plan,
    shell:
        "echo 'a new plan is in {params.plan}' | tee {log}"
