"""The id of a machine: its own, not to be traced back, and none where it would be that of many."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from llenergymeasure.pipeline.provenance import machine_id as module
from llenergymeasure.pipeline.provenance.machine_id import APPLICATION, machine_id

OWN = "0123456789abcdef0123456789abcdef"


def root(folder: Path, text: str = f"{OWN}\n") -> Path:
    (folder / "etc").mkdir()
    (folder / "etc/machine-id").write_text(text, "ascii")
    return folder


def test_it_is_one_of_this_program_and_not_the_machines_own(tmp_path: Path) -> None:
    # HMAC-SHA256 with the machine as the key, as a random UUID, computed with OpenSSL:
    # printf <APPLICATION> | xxd -r -p | openssl dgst -sha256 -mac HMAC -macopt hexkey:<OWN>
    name = machine_id(root(tmp_path))
    assert name == "53569ac666464713a5abad8bb6ae18bf"
    assert OWN not in name
    assert (name[12], name[16] in "89ab") == ("4", True)


@pytest.mark.skipif(shutil.which("systemd-id128") is None, reason="systemd is not installed")
def test_systemd_makes_the_same_of_it() -> None:
    own = Path("/etc/machine-id")
    if not own.exists() or len(own.read_text("ascii").strip()) != 32:
        pytest.skip("this machine has no id")
    command = ["systemd-id128", "machine-id", f"--app-specific={APPLICATION}"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode != 0:
        pytest.skip(said.stderr)
    assert module._specific(own.read_text("ascii").strip()) == said.stdout.strip().replace("-", "")


@pytest.mark.parametrize("text", ["", "uninitialized\n", "0" * 32, OWN.upper(), f"{OWN}0"])
def test_a_machine_without_an_id_is_unknown(tmp_path: Path, text: str) -> None:
    assert machine_id(root(tmp_path, text)) is None


def test_a_machine_without_the_file_is_unknown(tmp_path: Path) -> None:
    assert machine_id(tmp_path) is None


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv", "run/systemd/container", ".singularity.d/x"])
def test_a_container_has_no_id_of_its_own(tmp_path: Path, mark: str) -> None:
    root(tmp_path)
    (tmp_path / mark).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / mark).touch()
    assert machine_id(tmp_path) is None


@pytest.mark.parametrize(
    ("mounts", "known"), [("overlay / overlay rw 0 0\n", False), ("/dev/sda1 / ext4 rw 0 0\n", True)]
)
def test_a_root_of_stacked_layers_is_a_container(tmp_path: Path, mounts: str, known: bool) -> None:
    root(tmp_path)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mounts").write_text(mounts + "overlay /var/lib/docker/x overlay rw 0 0\n", "ascii")
    assert (machine_id(tmp_path) is not None) == known
