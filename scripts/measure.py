"""Measure a session once."""

from pathlib import Path

from llenergymeasure.models.snapshot import SnapshotError
from llenergymeasure.pipeline.jobs import (
    indexed,
    open_journal,
    placed,
    progress_reporter,
    reference_outputs,
    run_job,
    session_title,
)
from llenergymeasure.pipeline.stages import run_measure
from llenergymeasure.pipeline.temperatures import keep_temperatures
from llenergymeasure.records.calibration import SessionCalibration
from llenergymeasure.records.storage.files import write_tables
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.records.storage.parsing import BrokenRecord, read_record

with run_job(snakemake, session_title(snakemake), SnapshotError, BrokenRecord), placed(snakemake) as setting:
    journal = open_journal(snakemake)
    calibration = read_record(SessionCalibration, Path(snakemake.input.calibration))
    layout = Layout(Path(snakemake.params.pieces).parent)
    run_measure(
        setting,
        snakemake.wildcards.session_id,
        int(snakemake.wildcards.replicate),
        calibration,
        reference_outputs(snakemake),
        keep_temperatures(layout, calibration, indexed(snakemake).sessions),
        journal,
        progress_reporter(snakemake),
    )
    output = snakemake.output
    write_tables(journal, Path(output.measurements), Path(output.requests), Path(output.power))
    journal.remove()
