"""Load and compile each load once: evidence, cost, and the compile cache that later processes reuse."""


rule load:
    input:
        unpack(lambda wildcards: snapshots_of(wildcards.load_id)),
    output:
        record=f"{RESULTS}/loads/{{load_id}}/load.json",
        compile_cache=directory(f"{RESULTS}/loads/{{load_id}}/compile-cache"),
    log:
        f"{RESULTS}/logs/load/{{load_id}}.log",
    priority: 2 * JOBS
    conda:
        "../../envs/inference.yaml"
    threads: lambda wildcards: threads_for(wildcards.load_id)
    resources:
        gpu=lambda wildcards: devices_for(wildcards.load_id),
        quiet=lambda wildcards: devices_for(wildcards.load_id),
    params:
        pieces=PLAN_PIECES,
    script:
        "../../scripts/load.py"
