"""One self-contained page, and the summary in five lines."""

from pathlib import Path

from llenergymeasure.pipeline.jobs import run_job
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.reading.read import read_study
from llenergymeasure.results.report.page import write_report
from llenergymeasure.results.report.terminal_summary import five_lines

with run_job(snakemake, "report", ResultsError):
    files = snakemake.input
    study = read_study(
        Path(snakemake.params.plan),
        Path(files.summary),
        Path(files.runs),
        Path(files.costs),
        Path(files.latencies),
        [Path(path) for path in files.measurements],
        [Path(path) for path in files.setups],
        [Path(path) for path in files.interim],
        [Path(path) for path in files.comparison],
    )
    html = Path(snakemake.output.html)
    write_report(study, html)
    Path(snakemake.output.summary).write_text(five_lines(study, html), encoding="utf-8")
