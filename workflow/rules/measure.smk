"""Measure each session in each replicate: a fresh process, the same work, its own random order."""


rule measure:
    input:
        unpack(loaded_from("measure")),
        calibration=f"{RESULTS}/sessions/{{session_id}}/calibration.json",
        reference=f"{RESULTS}/sessions/{PLAN.reference_session}/outputs.parquet",
        compile_cache=lambda wildcards: ancient(
            f"{RESULTS}/setups/{setup_of(wildcards)}/compile-cache"
        ),
    output:
        measurements=f"{RESULTS}/sessions/{{session_id}}/{{replicate}}/measurements.jsonl",
        requests=f"{RESULTS}/sessions/{{session_id}}/{{replicate}}/requests.parquet",
        power=f"{RESULTS}/sessions/{{session_id}}/{{replicate}}/power.parquet",
    log:
        f"{RESULTS}/logs/measure/{{session_id}}-{{replicate}}.log",
    priority: lambda wildcards: earlier_first(wildcards.session_id, wildcards.replicate)
    conda:
        "../../envs/inference.yaml"
    threads: THREADS
    resources:
        gpu=DEVICES_NEEDED,
        quiet=DEVICES_NEEDED,
    params:
        pieces=PLAN_PIECES,
        reference=PLAN.reference,
    script:
        "../../scripts/measure.py"
