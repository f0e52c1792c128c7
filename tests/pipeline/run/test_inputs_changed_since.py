"""The lines at the beginning of a call, where a file or folder is not what it was."""

from __future__ import annotations

from pathlib import Path

from harness import study

from llenergymeasure.config.study.study import study_from_mapping
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.pipeline.run.changed_inputs import changed_inputs
from llenergymeasure.records.study.plan import Plan

FILES = {"source": "file", "column": "text"}
STUDY = study(
    defaults={"dataset": {**FILES, "path": "one.jsonl"}},
    experiments=[{"pytorch": {"batch_size": 1}}, {"dataset": {"path": "two.jsonl"}}, {"n_prompts": 2}],
)


def drawn(existing: Plan | None, **digests: str) -> Plan:
    return plan_from_study(
        study_from_mapping(STUDY),
        existing=existing,
        inputs=lambda intent: {"dataset": digests[intent["dataset"]["path"].removesuffix(".jsonl")]},
    )


def test_unchanged_files_are_not_mentioned(tmp_path: Path) -> None:
    first = drawn(None, one="a", two="b")
    assert changed_inputs(None, first, tmp_path) == []
    assert changed_inputs(first, drawn(first, one="a", two="b"), tmp_path) == []


def test_a_file_and_what_becomes_of_its_results(tmp_path: Path) -> None:
    first = drawn(None, one="a", two="b")
    changed = drawn(first, one="a", two="c")
    planned = "two.jsonl has changed since the plan was drawn: 1 experiment is planned again"
    assert changed_inputs(first, changed, tmp_path) == [planned]
    (session,) = {first.experiments[name].session_id for name in first.experiments}
    (tmp_path / "sessions" / session).mkdir(parents=True)
    assert changed_inputs(first, changed, tmp_path) == [
        "two.jsonl has changed since it was measured: 1 experiment is measured again, in every replicate; the results "
        f"with its old content stay in sessions/{session} and are in no table"
    ]


def test_where_the_reference_reads_it_all_are_measured_again(tmp_path: Path) -> None:
    first = drawn(None, one="a", two="b")
    _, line = changed_inputs(first, drawn(first, one="z", two="b"), tmp_path)
    assert line == (
        f"experiment {first.reference}, which reads it, is the reference that all outputs are compared with: all 3 "
        "experiments are measured again, and the others' measurements are replaced"
    )
