"""Measure each session in each replicate: a fresh process, the same work, its own random order."""


rule measure:
    input:
        unpack(loaded_from("measure")),
        calibration=RUN.paths.calibration,
        # That they are, not when: a session that is added or calibrated again does not trigger the others.
        calibrated=ancient(RUN.paths.calibrated),
        reference=RUN.inputs.reference_outputs(),
        compile_cache=lambda wildcards: ancient(RUN.inputs.compile_cache(wildcards)),
    output:
        measurements=RUN.paths.measurements,
        requests=RUN.paths.requests,
        power=RUN.paths.power,
    log:
        RUN.paths.log("measure/{session_id}-{replicate}"),
    priority: RUN.priorities.measure
    conda:
        "../../envs/inference.yaml"
    threads: RUN.shares.threads
    resources:
        gpu=RUN.shares.devices,
        quiet=RUN.shares.devices,
    params:
        pieces=RUN.paths.pieces,
        reference=RUN.index.reference,
    script:
        "../../scripts/measure.py"
