"""Requests inside the study's limits, and what one of them cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from results.page_reader import read_page
from results.record_changes import fail
from results.study_folder import study_folder

from llenergymeasure.config import SloConfig
from llenergymeasure.results.report.page import render
from llenergymeasure.results.tables.slo import read_slo_shares, with_slo

# (seconds to the first token, gaps between the others) of four requests of one run.
REQUESTS: list[tuple[float, list[float]]] = [(0.5, [0.1, 0.3]), (0.9, [0.1, 0.1]), (2.0, [0.1]), (0.5, [])]


def written(folder: Path) -> Path:
    rows = [{"experiment_id": "a", "replicate": 1, "ttft_s": first, "itl_s": gaps} for first, gaps in REQUESTS]
    path = folder / "requests.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize(
    ("limits", "share"),
    [
        ({"ttft_s": 1.0}, 3 / 4),
        ({"ttft_s": 0.5}, 2 / 4),  # a limit is the most that is allowed
        ({"tpot_s": 0.15}, 3 / 4),  # 0.2 is outside; a single token has no gap, so it is inside
        ({"ttft_s": 1.0, "tpot_s": 0.15}, 2 / 4),
        ({"ttft_s": 0.1}, 0.0),
    ],
)
def test_shares_are_those_counted_by_hand(tmp_path: Path, limits: dict[str, float], share: float) -> None:
    assert read_slo_shares([written(tmp_path)], SloConfig(**limits)) == {("a", 1): pytest.approx(share)}


def test_without_limits_nothing_is_read(tmp_path: Path) -> None:
    assert read_slo_shares([tmp_path / "missing.parquet"], SloConfig()) == {}


def run(**changes: Any) -> dict[str, Any]:
    parts = {"": 6.0, "_u_random": 0.3, "_u_gain": 0.12, "_u_other_gains": 0.0}
    row = {"experiment_id": "a", "replicate": 1, "status": "ok"}
    return {**row, **{f"energy_per_request_j{part}": value for part, value in parts.items()}, **changes}


def test_all_energy_counts_and_only_the_requests_inside() -> None:
    row = with_slo(run(), {("a", 1): 0.75})
    assert row["slo_share"] == 0.75
    # 4 requests took 24 J; 3 were inside.
    assert row["energy_per_slo_request_j"] == pytest.approx(8.0)
    assert row["energy_per_slo_request_j_u_random"] == pytest.approx(0.4)
    assert row["energy_per_slo_request_j_u_gain"] == pytest.approx(0.16)


@pytest.mark.parametrize(
    ("row", "share"), [(run(), 0.0), (run(status="invalid"), 0.5), (run(energy_per_request_j=None), 0.5)]
)
def test_without_a_request_inside_or_energy_there_is_no_figure(row: dict[str, Any], share: float) -> None:
    assert with_slo(row, {("a", 1): share})["energy_per_slo_request_j"] is None


def test_summary_and_report_show_what_is_inside(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    folder.change(1, 2, fail("generate", "OutOfMemoryError", "out of memory"))
    folder.write()
    frame = pd.concat(pq.read_table(path.with_name("requests.parquet")).to_pandas() for path in folder.measurements())
    limit_s = float(frame["ttft_s"].median())
    folder.slo = SloConfig(ttft_s=limit_s)
    results = folder.aggregate().read()
    by_run = frame.assign(inside=frame["ttft_s"] <= limit_s).groupby(["experiment_id", "replicate"])["inside"].mean()
    for row in results.summary.to_dict("records"):
        assert row["slo_share_mean"] == pytest.approx(by_run[row["experiment_id"]].mean())
        assert row["slo_ttft_s"] == limit_s
        assert pd.isna(row["slo_tpot_s"])
    section = read_page(render(results)).section("further").text
    assert "TTFT at most" in section
    assert "Energy per request inside the SLO" in section


def test_a_study_without_limits_lacks_nothing(tmp_path: Path) -> None:
    page = read_page(render(study_folder(tmp_path / "study").results()))
    assert "SLO" not in page.section("further").text
    assert "slo" not in page.section("unknown").text
