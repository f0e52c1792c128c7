"""All rows of `snakemake doctor`, each from the function that a run asks too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import llenergymeasure
from llenergymeasure.config.problems.text import first_line
from llenergymeasure.pipeline.doctor.cluster import cluster_rows
from llenergymeasure.pipeline.doctor.configured import read_configured
from llenergymeasure.pipeline.doctor.energy import energy_rows
from llenergymeasure.pipeline.doctor.gpus import gpu_rows
from llenergymeasure.pipeline.doctor.hub import hub_rows
from llenergymeasure.pipeline.doctor.models import model_rows
from llenergymeasure.pipeline.doctor.software import software_rows
from llenergymeasure.pipeline.doctor.storage import storage_rows
from llenergymeasure.pipeline.doctor.table import Row, render
from llenergymeasure.pipeline.run.call import DEFAULT_STUDY, shorten

ROOT = Path(llenergymeasure.__file__).resolve().parents[2]


def print_doctor(config: Mapping[str, Any], config_files: Sequence[Path], *, conda_measures: bool) -> int:
    """Print the table; return the exit code: 1 where something stops the study, else 0.

    config: the study's settings
    config_files: its files; empty for the default study
    conda_measures: jobs run in environments that Snakemake makes with conda
    """
    source = shorten([ROOT / DEFAULT_STUDY, *config_files][-1])
    rows = [*_rows(config, source, conda_measures=conda_measures)]
    print(render(rows), flush=True)
    return int(any(row.status == "problem" for row in rows))


def _rows(config: Mapping[str, Any], source: Path, *, conda_measures: bool) -> Iterator[Row]:
    configured, row = read_configured(config, source)
    yield row
    yield from _whatever_happens("models", model_rows(configured))
    yield from _whatever_happens("software", software_rows(configured, ROOT, conda_measures=conda_measures))
    yield from _whatever_happens("GPUs", gpu_rows(configured))
    yield from _whatever_happens("energy", energy_rows(configured))
    yield from _whatever_happens("storage", storage_rows(configured))
    yield from _whatever_happens("hub", hub_rows(configured))
    yield from _whatever_happens("cluster", cluster_rows(ROOT))


def _whatever_happens(what: str, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows; one that says so where the machine answers in a way that nobody foresaw."""
    try:
        yield from rows
    except Exception as error:  # noqa: BLE001  a table with a gap says more than a traceback
        found = f"could not be looked at: {type(error).__name__}: {first_line(error)}"
        yield Row(what, found, "warning", "please report this")
