"""Resolve the study's branch names and splits to commits and write them, with file hashes, into the lock."""

import sys
from pathlib import Path

from llenergymeasure.config import study_from_mapping
from llenergymeasure.config.settings.sources import sources_from_intent
from llenergymeasure.config.study.pins import asked_from_dataset
from llenergymeasure.models.errors import PinError
from llenergymeasure.models.hub.pin import resolve_pins
from llenergymeasure.pipeline.jobs import run_job

with run_job(snakemake, "pin · branch names to commits", PinError):
    lock = Path(snakemake.params.lock)
    experiments = study_from_mapping(snakemake.config, lock_path=lock, require_pins=False).expand()
    sources = [source for config in experiments for source in sources_from_intent(config.model_dump())]
    read = [config.dataset for config in experiments if config.dataset.source == "hub"]
    hub = [source for source in sources if source.ref.kind == "hub"]
    report = resolve_pins(
        [(source.name, source.revision) for source in hub],
        lock,
        adapters={source.name for source in hub if source.role == "adapter"},
        datasets=[(str(dataset.name), asked_from_dataset(dataset)) for dataset in read],
    )
    print(*(report or ["this study has no model or data set on a hub"]), sep="\n", file=sys.stderr)
