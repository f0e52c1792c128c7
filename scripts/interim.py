"""After a replicate, decide whether a figure is precise enough, for a study that names a precision."""

import sys
from pathlib import Path

from llenergymeasure.pipeline.jobs import planned, run_job
from llenergymeasure.records.calibration import SessionCalibration
from llenergymeasure.records.storage.atomic import write_json
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.reading.read import read_file, read_plan, read_records
from llenergymeasure.results.tables.interim import in_words, interim_analysis

with run_job(snakemake, "interim · is it precise enough?", ResultsError):
    given = snakemake.input
    paths = [Path(path) for path in given.measurements]
    plan = read_plan(Path(snakemake.params.plan), paths, [])
    calibrations = [read_file(SessionCalibration, Path(path)) for path in given.calibrations]
    records, _ = read_records(plan, paths, keep=lambda record: record)
    analysis = interim_analysis(planned(snakemake), int(snakemake.wildcards.replicates), records, calibrations)
    print(f"after {analysis.replicates} replicates {in_words(analysis)}", file=sys.stderr)
    write_json(analysis.to_plain(), Path(snakemake.output.record))
