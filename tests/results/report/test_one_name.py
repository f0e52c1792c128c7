"""A configuration has one name: in the line of progress, in the report and in summary.txt."""

from __future__ import annotations

import io
from pathlib import Path

from results.page_reader import read_page
from results.study_folder import study_folder

from llenergymeasure.pipeline.plan.plan_index import index_from_plan, read_piece, write_pieces
from llenergymeasure.pipeline.progress import Progress
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.storage.layout import Layout
from llenergymeasure.results.report.page import render
from llenergymeasure.results.report.ranking import analyses_of_study, best
from llenergymeasure.results.report.study_reading import experiments_from_study
from llenergymeasure.results.report.terminal_summary import five_lines

# A flag, a default, and a setting that all experiments share: what the two old ways of naming distinguished.
MATRIX = {"pytorch.use_cache": [True, False], "pytorch.batch_size": [None, 4], "pytorch.attn_implementation": ["eager"]}


def test_a_configuration_is_called_the_same_wherever_people_read_of_it(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", matrix=MATRIX)
    study = folder.results()
    layout = Layout(folder.root)
    write_pieces(folder.plan, layout.pieces)
    lines = io.StringIO()
    for session in folder.plan.sessions:
        piece = read_piece(layout.pieces, "sessions", session.session_id)
        measurements = layout.measurements(session.session_id, 1)
        records = [MeasurementRecord.model_validate_json(line) for line in measurements.read_bytes().splitlines()]
        progress = Progress(index_from_plan(folder.plan), piece, 1, folder.root, lines)
        for record in records:
            progress.report(record)
    shown = [line.split(" · ")[1] for line in lines.getvalue().splitlines()]
    labels = ["use_cache=true", "use_cache=true batch_size=4", "use_cache=false", "use_cache=false batch_size=4"]
    assert sorted(shown) == sorted(labels)
    experiments = experiments_from_study(study)
    assert [item.label for item in experiments] == labels
    page = read_page(render(study))
    # The page shows the "=" by its style, and separates the parts by their boxes.
    cells = {cell.text.replace(" ", "") for cell in page.all("td", class_="who")}
    assert {name.replace("=", "").replace(" ", "") for name in labels} <= cells
    fastest = best(experiments, "throughput_output_tokens_per_s", analyses_of_study(study))
    assert fastest is not None and f"best by speed:  {fastest.first.label} · " in five_lines(study, layout.report)
