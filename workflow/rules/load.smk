"""Load and compile each load once: evidence, cost, and the compile cache that later processes reuse."""


rule load:
    input:
        unpack(loaded_from("load")),
    output:
        record=f"{RESULTS}/loads/{{load_id}}/load.json",
        compile_cache=directory(f"{RESULTS}/loads/{{load_id}}/compile-cache"),
    log:
        f"{RESULTS}/logs/load/{{load_id}}.log",
    priority: 2 * JOBS
    conda:
        "../../envs/inference.yaml"
    threads: THREADS
    resources:
        gpu=DEVICES_NEEDED,
        quiet=DEVICES_NEEDED,
    params:
        pieces=PLAN_PIECES,
        # A folder with other weights under the same name is loaded again.
        contents=lambda wildcards: PLAN.loads[wildcards.load_id].contents,
    script:
        "../../scripts/load.py"
