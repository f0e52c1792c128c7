"""Quantized weights as artifacts: what one process quantized, all others read.

Studies share them, so nothing of one study may be an input or a parameter here.
"""

from importlib import metadata

from llenergymeasure.config.quantized import quantizing_intent
from llenergymeasure.measurement.plan_index import read_piece


def loaded_from(load_id):
    """Everything a load reads: the snapshots by role, and its quantized weights, where it has any."""
    key = PLAN.loads[load_id].quantized
    kept = {} if key is None else {"quantized": ancient(f"results/models/{key}")}
    return {**snapshots_of(load_id), **kept}


def load_that_reads(key):
    """The first of this study's loads that reads those quantized weights."""
    return next(
        load_id for load_id, load in PLAN.loads.items() if load.quantized == key
    )


def settings_of(key):
    """The same for every study and load that share the weights."""
    load_id = load_that_reads(key)
    plan = WHOLE_PLAN or read_piece(Path(PLAN_PIECES), "loads", load_id)
    return quantizing_intent(plan.load_config(load_id))


def versions_of(*names):
    """Of the environment Snakemake runs in; under conda the environment's file says more (rerun trigger software-env)."""
    found = {
        distribution.metadata["Name"]: distribution.version
        for name in names
        for distribution in metadata.distributions(name=name)
    }
    return {name: found.get(name) for name in names}


rule quantize:
    input:
        # Not ancient: weights that were made anew are quantized anew.
        model="results/models/{key}",
    output:
        weights=directory("results/models/{key}.quantized-{recipe}"),
    log:
        "results/models/logs/{key}.quantized-{recipe}.log",
    wildcard_constraints:
        recipe="[0-9a-f]{12}",
    priority: 2 * JOBS + 1
    conda:
        "../../envs/inference.yaml"
    threads: lambda wildcards: threads_for(load_that_reads(key_of(wildcards)))
    resources:
        gpu=lambda wildcards: devices_for(load_that_reads(key_of(wildcards))),
        quiet=lambda wildcards: devices_for(load_that_reads(key_of(wildcards))),
    params:
        intent=lambda wildcards: settings_of(key_of(wildcards)),
        # A change makes them anew; what was measured with the old ones stays.
        made_with=lambda wildcards: versions_of("torch", "transformers", "bitsandbytes"),
    script:
        "../../scripts/quantize.py"


def key_of(wildcards):
    return f"{wildcards.key}.quantized-{wildcards.recipe}"
