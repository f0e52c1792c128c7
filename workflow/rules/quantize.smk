"""Quantized weights as artifacts: what one process quantized, all others read.

Studies share them, so nothing of one study may be an input or a parameter here.
"""

from llenergymeasure.pipeline.run.rule_params import installed_versions


rule quantize:
    input:
        # Not ancient: when a snapshot is made again, its weights are quantized again.
        model=RUN.paths.snapshot,
    output:
        weights=directory(RUN.paths.quantized),
    log:
        RUN.paths.quantized_log,
    wildcard_constraints:
        recipe="[0-9a-f]{12}",
    priority: RUN.priorities.quantize
    conda:
        "../../envs/inference.yaml"
    threads: RUN.shares.threads
    resources:
        gpu=RUN.shares.devices,
        quiet=RUN.shares.devices,
    params:
        intent=RUN.params.quantizing_settings,
        # With other versions they are made again; what was measured with the old ones stays.
        made_with=lambda wildcards: installed_versions(
            "torch", "transformers", "bitsandbytes"
        ),
    script:
        "../../scripts/quantize.py"
