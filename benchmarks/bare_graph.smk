"""The pipeline's rules and files with nothing computed: what Snakemake alone needs for the same jobs.

--config loads=… batches=… (of each load) replicates=…
"""

RESULTS = "results/bench"
LOADS = range(config["loads"])
OF_A_LOAD = config["batches"]
ORDER = [
    (batch, replicate)
    for replicate in range(1, config["replicates"] + 1)
    for batch in range(len(LOADS) * OF_A_LOAD)
]


def measured(name):
    return [f"{RESULTS}/batches/{batch}/{number}/{name}" for batch, number in ORDER]


def load_of(wildcards):
    return f"{RESULTS}/loads/{int(wildcards.batch) // OF_A_LOAD}"


localrules:
    all,
    costs,
    report,


rule all:
    default_target: True
    input:
        f"{RESULTS}/validation.json",
        f"{RESULTS}/report.html",
        f"{RESULTS}/answer.txt",
        measured("measurements.jsonl"),
        measured("requests.parquet"),
        measured("power.parquet"),


rule validate:
    output:
        f"{RESULTS}/validation.json",
    log:
        f"{RESULTS}/logs/validate.log",
    shell:
        "touch {output}"


rule model:
    output:
        directory("results/models/{key}"),
    log:
        "results/models/logs/{key}.log",
    shell:
        "mkdir {output}"


rule load:
    input:
        model="results/models/tiny",
    output:
        record=f"{RESULTS}/loads/{{load}}/load.json",
        compile_cache=directory(f"{RESULTS}/loads/{{load}}/compile-cache"),
    log:
        f"{RESULTS}/logs/load/{{load}}.log",
    shell:
        "touch {output}"


rule warmup:
    input:
        model="results/models/tiny",
        record=lambda wildcards: f"{load_of(wildcards)}/load.json",
        compile_cache=lambda wildcards: ancient(f"{load_of(wildcards)}/compile-cache"),
    output:
        calibration=f"{RESULTS}/batches/{{batch}}/calibration.json",
        outputs=f"{RESULTS}/batches/{{batch}}/outputs.parquet",
    log:
        f"{RESULTS}/logs/warmup/{{batch}}.log",
    shell:
        "touch {output}"


rule measure:
    input:
        model="results/models/tiny",
        calibration=f"{RESULTS}/batches/{{batch}}/calibration.json",
        reference=f"{RESULTS}/batches/0/outputs.parquet",
        compile_cache=lambda wildcards: ancient(f"{load_of(wildcards)}/compile-cache"),
    output:
        measurements=f"{RESULTS}/batches/{{batch}}/{{replicate}}/measurements.jsonl",
        requests=f"{RESULTS}/batches/{{batch}}/{{replicate}}/requests.parquet",
        power=f"{RESULTS}/batches/{{batch}}/{{replicate}}/power.parquet",
    log:
        f"{RESULTS}/logs/measure/{{batch}}-{{replicate}}.log",
    shell:
        "touch {output}"


rule aggregate:
    input:
        measurements=measured("measurements.jsonl"),
        loads=[f"{RESULTS}/loads/{load}/load.json" for load in LOADS],
    output:
        f"{RESULTS}/summary.csv",
        f"{RESULTS}/summary.parquet",
        f"{RESULTS}/runs.parquet",
        f"{RESULTS}/token_costs.csv",
        f"{RESULTS}/latencies.csv",
    log:
        f"{RESULTS}/logs/aggregate.log",
    shell:
        "touch {output}"


rule costs:
    input:
        summary=f"{RESULTS}/summary.parquet",
    output:
        csv=f"{RESULTS}/costs.csv",
    log:
        f"{RESULTS}/logs/costs.log",
    shell:
        "touch {output}"


rule report:
    input:
        summary=f"{RESULTS}/summary.parquet",
        runs=f"{RESULTS}/runs.parquet",
        costs=f"{RESULTS}/costs.csv",
        latencies=f"{RESULTS}/latencies.csv",
        measurements=measured("measurements.jsonl"),
        loads=[f"{RESULTS}/loads/{load}/load.json" for load in LOADS],
    output:
        html=f"{RESULTS}/report.html",
        answer=f"{RESULTS}/answer.txt",
    log:
        f"{RESULTS}/logs/report.log",
    shell:
        "touch {output}"
