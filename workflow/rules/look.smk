"""After each replicate of a study that names a precision: is it reached, or is another replicate measured?"""


checkpoint look:
    input:
        measurements=lambda wildcards: first_replicates(
            int(wildcards.replicates), "measurements.jsonl"
        ),
        calibrations=lambda wildcards: [
            f"{RESULTS}/sessions/{session_id}/calibration.json"
            for session_id in PLAN.sessions
        ],
    output:
        record=f"{RESULTS}/looks/{{replicates}}.json",
    log:
        f"{RESULTS}/logs/look/{{replicates}}.log",
    conda:
        "../../envs/light.yaml"
    params:
        plan=PLAN_FILE,
        stopping=PLAN.stopping,
    script:
        "../../scripts/look.py"
