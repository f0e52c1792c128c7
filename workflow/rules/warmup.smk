"""Warm up and calibrate each session: how many passes until flat, how many for a window."""


rule warmup:
    input:
        unpack(loaded_from("warmup")),
        record=RUN.inputs.load_record,
        compile_cache=lambda wildcards: ancient(RUN.inputs.compile_cache(wildcards)),
    output:
        calibration=RUN.paths.calibration,
        outputs=RUN.paths.outputs,
    log:
        RUN.paths.log("warmup/{session_id}"),
    priority: RUN.priorities.warmup
    conda:
        "../../envs/inference.yaml"
    threads: RUN.shares.threads
    resources:
        gpu=RUN.shares.devices,
        quiet=RUN.shares.devices,
    params:
        pieces=RUN.paths.pieces,
        min_window_s=RUN.study.measurement.min_window_s,
        energy_resolution=RUN.study.measurement.energy_resolution,
    script:
        "../../scripts/warmup.py"


# Runs nothing: every measurement begins at the temperature that all calibrations of the study decide.
rule calibrated:
    input:
        lambda wildcards: RUN.inputs.calibrations(),
    output:
        touch(RUN.paths.calibrated),
    priority: RUN.priorities.warmup
