"""Quantize one model once, for every process that would quantize it the same way."""

from pathlib import Path

from llenergymeasure.config.devices import devices_claimed
from llenergymeasure.models.snapshot import SnapshotError
from llenergymeasure.pipeline.board_draw import Draw
from llenergymeasure.pipeline.jobs import run_job
from llenergymeasure.pipeline.placement import claim
from llenergymeasure.pipeline.provenance.environment import describe_environment
from llenergymeasure.pipeline.quantize_stage import run_quantize
from llenergymeasure.processes.inherited import experiment_timeout_s, models_lock

output = Path(snakemake.output.weights)
used = devices_claimed(snakemake.params.intent["pytorch"])
draw = Draw(seed=0, setup=output.name, replicate=0)
with (
    run_job(snakemake, f"quantize · {output.name}", SnapshotError),
    claim(snakemake.resources.gpu, used, draw),
):
    run_quantize(
        snakemake.params.intent,
        Path(snakemake.input.model),
        output,
        timeout_s=experiment_timeout_s(),
        log=Path(snakemake.log[0]),
        environment=describe_environment(Path(snakemake.scriptdir).parent, models_lock())["fingerprint"],
    )
