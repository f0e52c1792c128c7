"""The benchmarks that take minutes still run: each on a few studies, where its figure says nothing."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from benchmarks.verdicts.rows import CLAIMS
from benchmarks.verdicts.studies import simulate_study

FEW: dict[str, dict[str, Any]] = {
    "aggregation": {"SETUPS": 2, "SETTINGS": 2},
    "difference_detection": {"STUDIES": 2},
    "equal_warmth": {"STUDIES": 1},
    "rerun_verdicts": {"STUDIES": 2, "REPLICATES": (3,)},
    "sequential_stopping": {"STUDIES": 10},
}


@pytest.mark.parametrize("name", FEW)
def test_a_benchmark_gives_its_figure(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    for constant, value in FEW[name].items():
        assert hasattr(module, constant)
        monkeypatch.setattr(module, constant, value)
    module.main()
    assert f"{name}: " in capsys.readouterr().out


def test_each_claim_of_the_verdicts_judges_a_study() -> None:
    rng = np.random.default_rng(1)
    judged = {words: claim.event(simulate_study(claim.design, rng)) for words, claim in CLAIMS.items()}
    assert set(map(bool, judged.values())) == {False, True}
