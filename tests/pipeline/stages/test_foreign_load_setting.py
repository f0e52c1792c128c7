"""`measurement.foreign_load` reaches the windows of the worker."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from harness import study

from llenergymeasure.config import study_from_mapping
from llenergymeasure.measurement import session as session_module
from llenergymeasure.measurement.session import Session
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.pipeline.stages import Setting


class Opened(Exception):
    """Instead of meters."""


def test_from_the_study_to_the_meters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_from_study(study_from_mapping(study(measurement={"foreign_load": 0.3})), existing=None)
    others: Any = dict.fromkeys(
        ["quantized", "prompts", "min_window_s", "energy_resolution", "environment", "limits", "neighbours"]
    )
    setting = Setting(
        plan=plan,
        snapshots={},
        foreign_load=plan.protocol.foreign_load,
        compile_cache=tmp_path,
        timeout_s=1.0,
        stop_on_failure=False,
        log=tmp_path / "log",
        **others,
    )
    message = setting.order(plan.sessions[0].setup_id).message()
    limits = []

    def open_meters(_: Any, *, foreign_load: float) -> Any:
        limits.append(foreign_load)
        raise Opened

    monkeypatch.setattr(session_module, "open_meters", open_meters)
    monkeypatch.setattr(session_module, "use_compile_cache", lambda _: None)
    group = SimpleNamespace(leads=True, together=lambda work: work(), close=lambda: None)
    with pytest.raises(Opened):
        Session(group).perform(message)  # type: ignore[arg-type]
    assert limits == [0.3]
