"""What is asked for by `snakemake together` is checked before a job starts, in one line per mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pipeline.provenance.rerun_folder import MATRIX, begun

from llenergymeasure.pipeline.run.together_call import TogetherError, is_together, open_together

BOTH = ["results/quick", "results/later"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def finished(folder: Path, **changes: Any) -> None:
    begun(folder, **changes)
    for name in ("summary.parquet", "runs.parquet"):
        (folder / name).touch()


def test_folders_of_one_study_go_together_under_the_name_of_the_first() -> None:
    finished(Path("results/quick"))
    # A study's name, its replicates and its order are no part of what is measured.
    finished(Path("results/later"), measurement={"replicates": 5, "seed": 3, "order": "reverse"})
    call = open_together({"from": BOTH})
    assert call.folders == tuple(map(Path, BOTH))
    assert call.layout.together == Path("results/quick/together/together.csv")
    assert open_together({"from": BOTH, "study": "days"}).layout.folder == Path("results/days")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "together: which folders? snakemake together"),
        ({"from": "results/quick"}, "expected: two folders or more"),
        ({"from": ["results/quick"]}, "expected: two folders or more"),
        ({"from": ["results/quick", 3]}, "expected: two folders or more"),
        ({"from": ["results/quick", "results/nothing"]}, "there is no folder results/nothing"),
        ({"from": ["results/quick", "results/later/../quick"]}, "is the same folder as results/quick"),
        ({"from": ["results/quick", "results"]}, "results does not contain plan.json"),
        (
            {"from": ["results/quick", "results/begun"]},
            "results/begun has no summary.parquet: its study is",
        ),
        ({"from": BOTH, "margin": 0.1}, "margin is set too"),
        ({"from": BOTH, "study": "../x"}, "which cannot name the new results"),
        ({"from": ["results/quick", "results/fewer"]}, "results/fewer lacks 2 experiments that results/quick has"),
        ({"from": ["results/fewer", "results/quick"]}, "results/fewer lacks 2 experiments that results/quick has"),
        ({"from": ["results/quick", "results/longer"]}, "measurement.min_window_s = 0.3 and results/longer with 9"),
        ({"from": ["results/quick", "results/old"]}, "results/old/plan.json has schema version 1"),
    ],
)
def test_a_wrong_request_is_one_line(config: dict[str, Any], says: str) -> None:
    finished(Path("results/quick"))
    finished(Path("results/later"))
    begun(Path("results/begun"))
    finished(Path("results/fewer"), matrix={**MATRIX, "pytorch.batch_size": [1]})
    finished(Path("results/longer"), measurement={"min_window_s": 9.0})
    finished(Path("results/old"))
    Path("results/old/plan.json").write_text('{"schema_version": 1}', "utf-8")
    with pytest.raises(TogetherError) as caught:
        open_together(config)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_of_folders_asks_for_it_too() -> None:
    nothing: frozenset[str] = frozenset()
    assert is_together({"from": BOTH}, nothing)
    assert is_together({}, frozenset({"together"}))
    assert not is_together({"from": "results/quick"}, nothing)
    # A rerun of a list is a mistake, and is answered as one.
    assert not is_together({"from": BOTH}, frozenset({"rerun"}))
