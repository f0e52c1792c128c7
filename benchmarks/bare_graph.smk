"""The pipeline's rules and files with nothing computed: what Snakemake alone needs for the same jobs.

--config setups=… sessions=… (of each setup) replicates=…
"""

RESULTS = "results/bench"
SETUPS = range(config["setups"])
PER_SETUP = config["sessions"]
ORDER = [
    (session, replicate)
    for replicate in range(1, config["replicates"] + 1)
    for session in range(len(SETUPS) * PER_SETUP)
]


def measured(name):
    return [f"{RESULTS}/sessions/{session}/{number}/{name}" for session, number in ORDER]


def setup_of(wildcards):
    return f"{RESULTS}/setups/{int(wildcards.session) // PER_SETUP}"


localrules:
    all,
    calibrated,
    costs,
    report,
    crate,


rule all:
    default_target: True
    input:
        f"{RESULTS}/validation.json",
        f"{RESULTS}/report.html",
        f"{RESULTS}/summary.txt",
        measured("measurements.jsonl"),
        measured("requests.parquet"),
        measured("power.parquet"),
        f"{RESULTS}/ro-crate-metadata.json",


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


rule prompts:
    input:
        model="results/models/tiny",
    output:
        record=f"{RESULTS}/prompts/tiny.json",
    log:
        f"{RESULTS}/logs/prompts/tiny.log",
    shell:
        "touch {output}"


rule load:
    input:
        model="results/models/tiny",
        prompts=f"{RESULTS}/prompts/tiny.json",
    output:
        record=f"{RESULTS}/setups/{{load}}/load.json",
        compile_cache=directory(f"{RESULTS}/setups/{{load}}/compile-cache"),
    log:
        f"{RESULTS}/logs/load/{{load}}.log",
    shell:
        "touch {output}"


rule warmup:
    input:
        model="results/models/tiny",
        prompts=f"{RESULTS}/prompts/tiny.json",
        record=lambda wildcards: f"{setup_of(wildcards)}/load.json",
        compile_cache=lambda wildcards: ancient(f"{setup_of(wildcards)}/compile-cache"),
    output:
        calibration=f"{RESULTS}/sessions/{{session}}/calibration.json",
        outputs=f"{RESULTS}/sessions/{{session}}/outputs.parquet",
    log:
        f"{RESULTS}/logs/warmup/{{session}}.log",
    shell:
        "touch {output}"


rule calibrated:
    input:
        [f"{RESULTS}/sessions/{session}/calibration.json" for session in range(len(SETUPS) * PER_SETUP)],
    output:
        touch(f"{RESULTS}/.calibrated"),


rule measure:
    input:
        model="results/models/tiny",
        prompts=f"{RESULTS}/prompts/tiny.json",
        calibration=f"{RESULTS}/sessions/{{session}}/calibration.json",
        calibrated=ancient(f"{RESULTS}/.calibrated"),
        reference=f"{RESULTS}/sessions/0/outputs.parquet",
        compile_cache=lambda wildcards: ancient(f"{setup_of(wildcards)}/compile-cache"),
    output:
        measurements=f"{RESULTS}/sessions/{{session}}/{{replicate}}/measurements.jsonl",
        requests=f"{RESULTS}/sessions/{{session}}/{{replicate}}/requests.parquet",
        power=f"{RESULTS}/sessions/{{session}}/{{replicate}}/power.parquet",
    log:
        f"{RESULTS}/logs/measure/{{session}}-{{replicate}}.log",
    shell:
        "touch {output}"


rule aggregate:
    input:
        measurements=measured("measurements.jsonl"),
        setups=[f"{RESULTS}/setups/{load}/load.json" for load in SETUPS],
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
        setups=[f"{RESULTS}/setups/{load}/load.json" for load in SETUPS],
    output:
        html=f"{RESULTS}/report.html",
        summary=f"{RESULTS}/summary.txt",
    log:
        f"{RESULTS}/logs/report.log",
    shell:
        "touch {output}"


rule crate:
    input:
        f"{RESULTS}/validation.json",
        f"{RESULTS}/summary.csv",
        f"{RESULTS}/report.html",
        f"{RESULTS}/summary.txt",
    output:
        metadata=f"{RESULTS}/ro-crate-metadata.json",
    log:
        f"{RESULTS}/logs/crate.log",
    shell:
        "touch {output}"
