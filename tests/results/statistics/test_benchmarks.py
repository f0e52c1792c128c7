"""The benchmarks that take minutes still run: each on a few studies, where its figure says nothing."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from benchmarks.verdicts import claims, share_of_studies
from benchmarks.verdicts.rows import CLAIMS

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


def test_each_claim_of_the_verdicts_judges_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "STUDIES", 1)
    monkeypatch.setattr(claims, "STUDIES_OF_PAIR", 1)
    judged = {words: share_of_studies(words) for words in CLAIMS}
    assert set(map(bool, judged.values())) == {False, True}
