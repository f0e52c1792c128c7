"""After each replicate of a study that names a precision: is it reached, or is another replicate measured?"""


checkpoint interim:
    input:
        measurements=lambda wildcards: RUN.inputs.of_first_replicates(
            RUN.paths.measurements, int(wildcards.replicates)
        ),
        calibrations=lambda wildcards: RUN.inputs.calibrations(),
    output:
        record=RUN.paths.interim,
    log:
        RUN.paths.log("interim/{replicates}"),
    conda:
        "../../envs/light.yaml"
    params:
        plan=RUN.paths.plan,
        stopping=RUN.params.stopping,
    script:
        "../../scripts/interim.py"
