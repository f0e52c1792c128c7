"""Quantize one model once, for every process that would quantize it the same way."""

from pathlib import Path

from llenergymeasure.config.devices import devices_claimed
from llenergymeasure.engine.environment import describe_environment
from llenergymeasure.measurement.board_draw import Draw
from llenergymeasure.measurement.jobs import run_job
from llenergymeasure.measurement.placement import claim
from llenergymeasure.measurement.quantizing import run_quantize
from llenergymeasure.measurement.surroundings import experiment_timeout_s, models_lock
from llenergymeasure.models.snapshot import SnapshotError

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
