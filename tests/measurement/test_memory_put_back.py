"""What the library keeps for an experiment is gone before others need its memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from edited_models import model_folder
from measurement.experiments import config

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.engine.devices import Host
from llenergymeasure.engine.loading.library_state import LibraryState
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement import loaded_session, measuring, reference_score
from llenergymeasure.measurement.session import Session
from llenergymeasure.models.snapshot import materialise


def test_state_goes_before_memory_is_released_and_before_the_reference_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graphs that inductor recorded over a static cache hold pools of memory until the compiler is reset."""
    steps: list[str] = []

    def spy(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def spied(*positional: Any, **named: Any) -> Any:
            steps.append(name)
            return real(*positional, **named)

        monkeypatch.setattr(owner, name, spied)

    folder = model_folder(tmp_path / "model")
    made = materialise(parse_model_ref(str(folder)), None, tmp_path / "snapshot", lock=ModelsLock())
    intent = config(model=str(folder), baseline={"enabled": False}, pytorch={"cache_implementation": "static"})
    session = Session(Alone())
    try:
        loaded = session.load(config=intent, snapshots={"model": str(made.path)}, compile_cache=None)
        spy(LibraryState, "reset")
        spy(Host, "release_memory")
        spy(loaded_session, "calibrate")
        spy(measuring, "compute_metrics")
        spy(reference_score, "mean_logprob")
        calibration = loaded.warmup(config=intent, min_window_s=0.05, energy_resolution=0.5)
        warmed = steps[steps.index("calibrate") + 1 :]
        reference = {"experiment_id": "x", "outputs": calibration["outputs"]}
        loaded.measure(config=intent, calibration=calibration, reference=reference)
        measured = steps[steps.index("compute_metrics") + 1 :]
    finally:
        session.close()
    assert warmed == ["reset", "release_memory"]
    assert measured == ["reset", "mean_logprob"]
