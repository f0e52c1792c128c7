"""A reply of the worker that does not fit a record's type costs that experiment, and neither the job nor the rest."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from results.record_parts import environment

from llenergymeasure.pipeline import stages
from llenergymeasure.records.calibration import CalibratedExperiment
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.storage.journal import Journal
from llenergymeasure.records.study.checks import CheckedSet
from llenergymeasure.records.study.warmth import NO_TEMPERATURES

NAMES = ("first", "second")


class Manager:
    """Answers at once, with records that no type knows."""

    loaded: dict[str, Any]
    startup_s = 1.0

    def __init__(self, *_: object) -> None:
        self.loaded = {"libraries": {"cuda": None, "cudnn": None, "nccl": None}}

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None: ...

    def load(self) -> dict[str, Any]:
        return {"libraries": self.loaded["libraries"], "energy": "none"}

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        if order["do"] == "warmup":
            return {"outputs": [], "cv": "small"}
        return {"record": {"warnings": [], "metrics": "none"}, "requests": [], "power": [], "scoring_failed": False}


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(stages, "Manager", Manager)
    monkeypatch.setattr(stages, "replicate_order", lambda *_: NAMES)
    for name, answer in (("_require_contents", {}), ("_check", None), ("_count", None)):
        monkeypatch.setattr(stages, name, lambda *_, answer=answer: answer)
    unchecked = CheckedSet(digest=None, failure=None, experiments=1, longest=None)
    monkeypatch.setattr(stages, "checked_prompts", lambda *_: unchecked)
    monkeypatch.setattr(stages, "context_warnings", lambda *_: [])
    for name in ("refused_model", "unread_tokenizer"):
        monkeypatch.setattr(stages, name, lambda *_: None)
    session = SimpleNamespace(session_id="b" * 12, setup_id="a" * 12, experiments=NAMES)
    plan = SimpleNamespace(
        session=lambda _: session,
        experiments={name: SimpleNamespace(config={"pytorch": {}}) for name in NAMES},
        reference=NAMES[0],
        seed=1,
    )
    return SimpleNamespace(
        plan=plan,
        snapshots={},
        order=lambda _: SimpleNamespace(config={"pytorch": {}}),
        compile_cache=Path("compile-cache"),
        prompts=None,
        environment=environment(),
        log=Path("job.log"),
        min_window_s=1.0,
        energy_resolution=0.01,
        neighbours=None,
        limits=None,
    )


def test_in_the_warm_up_each_is_a_failure_and_the_journal_stays_readable(setting: Any, tmp_path: Path) -> None:
    for _ in range(2):
        calibration, _rows = stages.run_warmup(setting, "b" * 12, None, Journal(tmp_path / "warmup.jsonl"))
        reasons = [entry.failure.reason for entry in calibration.experiments.values() if entry.failure]
        assert len(reasons) == 2
        assert all("the record does not fit its type (" in reason for reason in reasons)


def test_a_measurement_is_kept_in_the_log_and_the_next_is_measured(
    setting: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibration: Any = SimpleNamespace(
        fingerprint=environment()["fingerprint"],
        experiments={name: CalibratedExperiment(status="ok", failure=None) for name in NAMES},
    )
    records: list[MeasurementRecord] = []
    journal = Journal(tmp_path / "measure.jsonl")
    stages.run_measure(setting, "b" * 12, 1, calibration, [], NO_TEMPERATURES, journal, records.append)
    assert [(record.status, record.failure and record.failure.stage) for record in records] == [
        ("failed", "record")
    ] * 2
    assert capsys.readouterr().err.count('"metrics": "none"') == 2


def test_a_load_is_a_failure(setting: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record = stages.run_load(setting, "a" * 12)
    assert record.status == "failed" and record.failure is not None
    assert "please report it with the log" in record.failure.reason
