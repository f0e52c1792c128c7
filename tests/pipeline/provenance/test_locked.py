"""Which lock an environment was installed from is found by the versions that are there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import transformers
from harness import ROOT

from llenergymeasure.pipeline.provenance.environment import installed_packages
from llenergymeasure.pipeline.provenance.installed_lock import nearest_lock

LOCKS = ROOT / "envs" / "locks"


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    for name, torch in (("cuda13", "2.0"), ("cuda12", "1.9"), ("cpu", "2.0+cpu")):
        text = f"torch=={torch} \\\n    --hash=sha256:00\n"
        text += "other-thing==1.5 ; sys_platform == 'linux' \\\n    --hash=sha256:01\n"
        (tmp_path / f"{name}.txt").write_text(text, "utf-8")
    return tmp_path


@pytest.mark.parametrize(("torch", "name"), [("2.0", "cuda13.txt"), ("1.9", "cuda12.txt"), ("2.0+cpu", "cpu.txt")])
def test_the_lock_that_was_installed_from_is_named_with_its_hash(locks: Path, torch: str, name: str) -> None:
    lock = nearest_lock({"torch": torch, "other-thing": "1.5", "more": "3"}, locks)
    assert lock is not None
    assert lock.record.to_plain() == {
        "name": name,
        "sha256": hashlib.sha256((locks / name).read_bytes()).hexdigest(),
        "different": {},
    }


def test_what_was_put_over_it_is_named(locks: Path) -> None:
    lock = nearest_lock({"torch": "2.0", "other-thing": "1.6"}, locks)
    assert lock is not None
    assert lock.path.name == "cuda13.txt"
    assert lock.different == {"other-thing": ("1.5", "1.6")}


def test_no_lock_no_answer(tmp_path: Path) -> None:
    assert nearest_lock({"torch": "2.0"}, tmp_path) is None


def test_the_real_locks_are_read() -> None:
    packages = installed_packages()
    assert packages["pydantic"]
    assert packages["huggingface-hub"]
    lock = nearest_lock(packages, LOCKS)
    assert lock is not None
    # The tests also run with another version laid over the environment, and then the lock is not what is there.
    _, there = lock.different.get("transformers", ("", packages["transformers"]))
    assert there == packages["transformers"] == transformers.__version__
