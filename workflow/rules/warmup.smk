"""Warm up and calibrate each session: how many passes until flat, how many for a window."""


rule warmup:
    input:
        unpack(loaded_from("warmup")),
        record=lambda wildcards: f"{RESULTS}/setups/{setup_of(wildcards)}/load.json",
        compile_cache=lambda wildcards: ancient(
            f"{RESULTS}/setups/{setup_of(wildcards)}/compile-cache"
        ),
    output:
        calibration=f"{RESULTS}/sessions/{{session_id}}/calibration.json",
        outputs=f"{RESULTS}/sessions/{{session_id}}/outputs.parquet",
    log:
        f"{RESULTS}/logs/warmup/{{session_id}}.log",
    priority: 1 + JOBS
    conda:
        "../../envs/inference.yaml"
    threads: THREADS
    resources:
        gpu=DEVICES_NEEDED,
        quiet=DEVICES_NEEDED,
    params:
        pieces=PLAN_PIECES,
        min_window_s=STUDY.measurement.min_window_s,
        energy_resolution=STUDY.measurement.energy_resolution,
    script:
        "../../scripts/warmup.py"
