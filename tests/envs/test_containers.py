"""The container definitions: made from the locks that are there, of files that are there, on conda's Python.

No container can be built where this is developed, so what they would run is read.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from harness import ROOT

from llenergymeasure.pipeline.provenance.environment import describe_commit

ENVS = ROOT / "envs"
DOCKERFILE, APPTAINER = ENVS / "Dockerfile", ENVS / "apptainer.def"
CHECKOUT = pytest.mark.skipif(describe_commit(ROOT)["git_commit"] is None, reason="these files are not a git checkout")
BOTH = pytest.mark.parametrize("definition", [DOCKERFILE, APPTAINER], ids=lambda path: path.name)


@BOTH
def test_everything_comes_from_a_lock_by_hash(definition: Path) -> None:
    text = definition.read_text(encoding="utf-8").replace("${TORCH}", "cuda13")
    installs = re.findall(r"pip install (.*?)(?: \\)?$", text, re.MULTILINE)
    assert installs and all("--require-hashes" in install for install in installs)
    files = [install.split("-r ")[1] for install in installs]
    assert files == ["envs/locks/cuda13.txt", "envs/models.txt"]
    assert all((ROOT / file).is_file() for file in files)


@BOTH
def test_the_image_has_the_python_of_the_conda_environments(definition: Path) -> None:
    (version,) = re.findall(r"[Ff][Rr][Oo][Mm]:? python:(\S+)-slim", definition.read_text(encoding="utf-8"))
    described = yaml.safe_load((ENVS / "inference.yaml").read_text(encoding="utf-8"))
    assert f"python={version}" in described["dependencies"]


@BOTH
def test_it_runs_snakemake_on_the_copied_snakefile(definition: Path) -> None:
    (folder,) = set(re.findall(r"/opt/\w+(?=/Snakefile)", definition.read_text(encoding="utf-8")))
    assert f"WORKDIR {folder}" in DOCKERFILE.read_text(encoding="utf-8")


@CHECKOUT
def test_docker_gets_every_file_and_the_commit() -> None:
    """.dockerignore leaves out nothing that git knows, and not git's own folder: results name the commit."""
    ignored = ["git", "ls-files", "--cached", "--ignored", "--exclude-from=.dockerignore"]
    assert subprocess.check_output(ignored, cwd=ROOT, text=True) == ""
    assert ".git" not in (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copies = re.findall(r"^COPY .+$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert copies[-1] == "COPY . ."


@CHECKOUT
def test_apptainer_holds_the_commit(tmp_path: Path) -> None:
    """Copying what the definition copies, and git's part of what it runs, gives a checkout with nothing changed."""
    text = APPTAINER.read_text(encoding="utf-8")
    (copied,) = text.split("%files\n")[1].split("\n\n")[0].splitlines()
    assert copied.split() == [".git", "/opt/llenergymeasure/.git"]
    assert "\n    cd /opt/llenergymeasure\n    git reset --hard --quiet\n" in text
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(tmp_path)], check=True)
    subprocess.run(["git", "reset", "--hard", "--quiet"], cwd=tmp_path, check=True)
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
    assert describe_commit(tmp_path) == {"git_commit": head, "git_dirty": False}
    assert (tmp_path / "Snakefile").is_file()


@BOTH
def test_its_commands_are_on_the_page(definition: Path) -> None:
    page = (ROOT / "docs/conda.md").read_text(encoding="utf-8")
    commands = re.findall(r"^#   (.+)$", definition.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 2
    assert all(command.replace("my.yaml", "my-study.yaml") in page for command in commands)
