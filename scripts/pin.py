"""Resolve the study's branch names to commits and write them, with file hashes, into the lock."""

import sys
from pathlib import Path

from llenergymeasure.config.model_ref import parse_model_ref
from llenergymeasure.measurement.jobs import run_job, study_of
from llenergymeasure.models.errors import PinError
from llenergymeasure.models.pin import resolve_pins

with run_job("pin · branch names to commits", PinError):
    wanted = [(config.model, config.pytorch.revision) for config in study_of(snakemake, require_pins=False).expand()]
    hub = [(model, revision) for model, revision in wanted if parse_model_ref(model).kind == "hub"]
    report = resolve_pins(hub, Path(snakemake.params.lock))
    print(*(report or ["no model of this study is on a hub"]), sep="\n", file=sys.stderr)
