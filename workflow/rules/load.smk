"""Load and compile each setup once: evidence, cost, and the compile cache that later processes reuse."""


rule load:
    input:
        unpack(loaded_from("load")),
    output:
        record=RUN.paths.load_record,
        compile_cache=directory(RUN.paths.compile_cache),
    log:
        RUN.paths.log("load/{setup_id}"),
    priority: RUN.priorities.load
    conda:
        "../../envs/inference.yaml"
    threads: RUN.shares.threads
    resources:
        gpu=RUN.shares.devices,
        quiet=RUN.shares.devices,
    params:
        pieces=RUN.paths.pieces,
        # A folder with other weights under the same name is loaded again.
        contents=RUN.params.setup_contents,
    script:
        "../../scripts/load.py"
