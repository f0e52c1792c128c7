"""Quantized weights as artifacts: what one process quantized, all others read.

Studies share them, so nothing of one study may be an input or a parameter here.
"""


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
    threads: lambda wildcards: threads_for(setup_that_reads(wildcards))
    resources:
        gpu=lambda wildcards: devices_for(setup_that_reads(wildcards)),
        quiet=lambda wildcards: devices_for(setup_that_reads(wildcards)),
    params:
        intent=lambda wildcards: quantizing_settings(wildcards),
        # A change makes them anew; what was measured with the old ones stays.
        made_with=lambda wildcards: versions_of("torch", "transformers", "bitsandbytes"),
    script:
        "../../scripts/quantize.py"
