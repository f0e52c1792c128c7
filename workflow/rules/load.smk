"""Load and compile each setup once: evidence, cost, and the compile cache that later processes reuse."""


rule load:
    input:
        unpack(loaded_from("load")),
    output:
        record=f"{RESULTS}/setups/{{setup_id}}/load.json",
        compile_cache=directory(f"{RESULTS}/setups/{{setup_id}}/compile-cache"),
    log:
        f"{RESULTS}/logs/load/{{setup_id}}.log",
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
        contents=lambda wildcards: PLAN.setups[wildcards.setup_id].contents,
    script:
        "../../scripts/load.py"
