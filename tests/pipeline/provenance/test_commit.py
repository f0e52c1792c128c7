"""The pipeline's commit in the results, and why it is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pipeline.provenance.rerun_folder import begun

from llenergymeasure.pipeline.provenance import provenance
from llenergymeasure.pipeline.provenance.environment import describe_commit, why_no_commit
from llenergymeasure.records.study.provenance import Call


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "a checkout"
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(root), *identity, "commit", "--quiet", "--allow-empty", "-m", "a"], check=True)
    return root


def test_a_checkout_of_another_user_says_what_to_do(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_no_commit(checkout) is None and describe_commit(checkout)["git_commit"] is not None
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert describe_commit(checkout)["git_commit"] is None
    assert why_no_commit(checkout) == (
        f"{checkout} belongs to another user, so git does not read it; run "
        f"git config --global --add safe.directory '{checkout}'"
    )


def test_git_that_is_not_installed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert why_no_commit(checkout) == "git is not installed"
    assert why_no_commit(checkout / "elsewhere") is None


def test_a_run_records_and_prints_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(provenance, "why_no_commit", lambda _: "git is not installed")
    results = tmp_path / "study"
    begun(results)
    assert "the results will not name the pipeline's commit: git is not installed" in capsys.readouterr().err
    (line,) = (results / "provenance/calls.jsonl").read_text(encoding="utf-8").splitlines()
    assert Call.model_validate_json(line).git_problem == "git is not installed"
