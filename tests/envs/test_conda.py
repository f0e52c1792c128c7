"""`snakemake --sdm conda`: every step in the environment that envs/ describes, installed from the locks by hash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Pipeline, study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
FAKE = Path(__file__).with_name("fake_conda.py")
FINGERPRINT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from llenergymeasure.pipeline.provenance.environment import fingerprint
print(json.dumps(fingerprint()))
"""


@pytest.fixture
def conda(tmp_path: Path) -> Path:
    """A folder with `conda` and its `activate`."""
    folder = tmp_path / "conda" / "bin"
    folder.mkdir(parents=True)
    command = folder / "conda"
    text = FAKE.read_text(encoding="utf-8").replace("#!/usr/bin/env python3", f"#!{sys.executable}", 1)
    command.write_text(text, encoding="utf-8")
    command.chmod(0o755)
    (folder / "activate").write_text('source "$1/bin/activate"\n', encoding="utf-8")
    return folder


def test_a_study_runs_in_environments_from_the_locks(pipeline: Pipeline, conda: Path) -> None:
    pipeline.write(study())
    settings = {"PATH": f"{conda}{os.pathsep}{os.environ['PATH']}", "LLENERGYMEASURE_TORCH": "cpu"}
    done = pipeline.snakemake("--sdm", "conda", timeout_s=1500, **settings)
    assert done.returncode == 0, done.output
    made = sorted((pipeline.directory / ".snakemake/conda").glob("*_"))
    packages = {path: _packages(path) for path in made}
    inference = [path for path, names in packages.items() if "torch" in names]
    light = [path for path, names in packages.items() if "torch" not in names]
    assert len(inference) == len(light) == 1
    assert "snakemake" not in packages[light[0]] and "pandas" in packages[light[0]]
    (record,) = pipeline.records()
    command = [str(inference[0] / "bin/python"), "-c", FINGERPRINT, str(Path(__file__).parents[2] / "scripts")]
    assert record["environment"]["fingerprint"] == json.loads(subprocess.check_output(command, text=True))
    assert (pipeline.results() / "report.html").exists()

    # The same locks, the same environments: nothing is made or measured again.
    again = pipeline.snakemake("--sdm", "conda", **settings)
    assert again.returncode == 0 and "Nothing to be done" in again.output, again.output
    # Nor is it in other environments.
    elsewhere = pipeline.snakemake("-n")
    assert elsewhere.returncode == 0 and "Nothing to be done" in elsewhere.output, elsewhere.output


def _packages(prefix: Path) -> set[str]:
    listed = subprocess.check_output([str(prefix / "bin/python"), "-m", "pip", "list", "--format=json"], text=True)
    return {item["name"].lower() for item in json.loads(listed)}
