"""A record names the versions that a worker really imports, and those of the libraries inside torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import ROOT

from llenergymeasure.engine.devices import cuda_libraries
from llenergymeasure.pipeline.provenance.environment import installed_packages, metadata_folders

DESCRIBE = """
import json, sys
from pathlib import Path
from llenergymeasure.pipeline.provenance.environment import describe_environment, installed_packages
found = describe_environment(Path("."), Path("none"))
named = [found["packages"]["torch"], installed_packages()["torch"]]
print(json.dumps([found["fingerprint"], *named, "torch" in sys.modules]))
"""


def described(*before: Path) -> list[Any]:
    """Fingerprint, torch's version in the record and among all packages, and whether torch had to be imported."""
    path = os.pathsep.join(str(place) for place in [*before, ROOT / "scripts"])
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    description: list[Any] = json.loads(done.stdout)
    return description


def test_what_lies_before_the_environment_is_what_is_named(tmp_path: Path) -> None:
    """As `pip install --target` leaves it, on a machine whose own packages are not to be touched."""
    folder = tmp_path / "wheels"
    (folder / "torch-9.9.9.dist-info").mkdir(parents=True)
    (folder / "torch-9.9.9.dist-info" / "METADATA").write_text("Name: torch\nVersion: 9.9.9\n", encoding="utf-8")
    plain, over = described(), described(folder)
    installed = torch.__version__
    assert plain[1:] == [installed, installed, False]
    assert over[1:] == ["9.9.9", "9.9.9", False]
    assert plain[0] != over[0]
    assert plain == described()


def test_of_two_distributions_of_one_name_the_first_counts(tmp_path: Path) -> None:
    for place, version in (("first", "2.0"), ("second", "1.0")):
        (tmp_path / place / f"Some_Package-{version}.dist-info").mkdir(parents=True)
    folders = metadata_folders([str(tmp_path / "first"), str(tmp_path / "second")])
    assert folders == {"some-package": "Some_Package-2.0.dist-info"}


def test_every_package_of_the_environment_is_named() -> None:
    assert {"torch", "transformers", "huggingface-hub", "nvidia-ml-py"} <= set(installed_packages())


@pytest.mark.skipif(torch.version.cuda is not None, reason="a torch that was built without CUDA")
def test_a_torch_without_cuda_has_no_such_libraries() -> None:
    assert cuda_libraries() == {"cuda": None, "cudnn": None, "nccl": None}


def test_the_libraries_inside_torch_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    monkeypatch.setattr(torch.cuda.nccl, "version", lambda: (2, 27, 7))
    assert cuda_libraries() == {"cuda": "13.0", "cudnn": "91002", "nccl": "2.27.7"}
