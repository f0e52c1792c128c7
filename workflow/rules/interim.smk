"""After each replicate of a study that names a precision: is it reached, or is another replicate measured?"""


checkpoint interim:
    input:
        measurements=lambda wildcards: first_replicates(
            int(wildcards.replicates), "measurements.jsonl"
        ),
        calibrations=lambda wildcards: [
            f"{RESULTS}/sessions/{session_id}/calibration.json"
            for session_id in PLAN.sessions
        ],
    output:
        record=f"{RESULTS}/interim/{{replicates}}.json",
    log:
        f"{RESULTS}/logs/interim/{{replicates}}.log",
    conda:
        "../../envs/light.yaml"
    params:
        plan=PLAN_FILE,
        stopping=PLAN.stopping,
    script:
        "../../scripts/interim.py"
