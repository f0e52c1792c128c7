"""Measure each batch in each replicate: a fresh process, the same work, its own random order."""


rule measure:
    input:
        unpack(loaded_from("measure")),
        calibration=f"{RESULTS}/batches/{{batch_id}}/calibration.json",
        reference=f"{RESULTS}/batches/{PLAN.reference_batch}/outputs.parquet",
        compile_cache=lambda wildcards: ancient(
            f"{RESULTS}/loads/{load_of(wildcards)}/compile-cache"
        ),
    output:
        measurements=f"{RESULTS}/batches/{{batch_id}}/{{replicate}}/measurements.jsonl",
        requests=f"{RESULTS}/batches/{{batch_id}}/{{replicate}}/requests.parquet",
        power=f"{RESULTS}/batches/{{batch_id}}/{{replicate}}/power.parquet",
    log:
        f"{RESULTS}/logs/measure/{{batch_id}}-{{replicate}}.log",
    priority: lambda wildcards: earlier_first(wildcards.batch_id, wildcards.replicate)
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
