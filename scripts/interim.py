"""Whether a figure is known well enough after a replicate, for a study that names a precision."""

import sys
from pathlib import Path

from llenergymeasure.pipeline.jobs import run_job
from llenergymeasure.pipeline.stages import write_json
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.reading.read import read_json, read_plan, read_records
from llenergymeasure.results.tables.interim import in_words, interim_analysis

with run_job(snakemake, "interim · is it precise enough?", ResultsError):
    given = snakemake.input
    paths = [Path(path) for path in given.measurements]
    plan = read_plan(Path(snakemake.params.plan), paths, [])
    calibrations = [read_json(Path(path)) for path in given.calibrations]
    drawn = read_json(Path(snakemake.params.plan))
    found = interim_analysis(
        drawn, int(snakemake.wildcards.replicates), read_records(plan, paths).records, calibrations
    )
    print(f"after {found['replicates']} replicates {in_words(found)}", file=sys.stderr)
    write_json(found, Path(snakemake.output.record))
