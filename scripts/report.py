"""One self-contained page, and the answer in five lines."""

from pathlib import Path

from llenergymeasure.measurement.jobs import run_job
from llenergymeasure.results.answer import five_lines
from llenergymeasure.results.errors import ResultsError
from llenergymeasure.results.report import write_report
from llenergymeasure.results.study_results import read_study

with run_job(snakemake, "report", ResultsError):
    given = snakemake.input
    study = read_study(
        Path(snakemake.params.plan),
        Path(given.summary),
        Path(given.runs),
        Path(given.costs),
        Path(given.latencies),
        [Path(path) for path in given.measurements],
        [Path(path) for path in given.loads],
        [Path(path) for path in given.look],
        [Path(path) for path in given.comparison],
    )
    html = Path(snakemake.output.html)
    write_report(study, html)
    Path(snakemake.output.answer).write_text(five_lines(study, html), encoding="utf-8")
