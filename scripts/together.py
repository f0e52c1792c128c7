"""Put several results folders of one study together: two tables, a page, and a few lines."""

from pathlib import Path

from llenergymeasure.pipeline.jobs import run_job
from llenergymeasure.records.storage.atomic import write_text
from llenergymeasure.results.reading.errors import ResultsError
from llenergymeasure.results.report.together import few_lines, render
from llenergymeasure.results.tables.together import read_together

with run_job(snakemake, "together · several results folders of one study", ResultsError):
    output = snakemake.output
    together = read_together([Path(folder) for folder in snakemake.params.compared])
    together.table.to_csv(output.table, index=False)
    together.folders.to_csv(output.folders, index=False)
    write_text(render(together), Path(output.html))
    write_text(few_lines(together, Path(output.html)), Path(output.text))
