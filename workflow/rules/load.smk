"""Load and compile each load once: evidence, cost, and the compile cache that later processes reuse."""


rule load:
    input:
        unpack(lambda wildcards: snapshots_of(wildcards.load_id)),
    output:
        record=f"{RESULTS}/loads/{{load_id}}/load.json",
        compile_cache=directory(f"{RESULTS}/loads/{{load_id}}/compile-cache"),
    log:
        f"{RESULTS}/logs/load/{{load_id}}.log",
    priority: 2 * len(PLAN.order)
    conda:
        "../../envs/inference.yaml"
    threads: workflow.cores
    resources:
        gpu=1,
        quiet=1,
    params:
        plan=PLAN_FILE,
    script:
        "../../scripts/load.py"
