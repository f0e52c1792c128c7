"""Branch names become commits, with the hash of every file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from models.conftest import Make
from models.hub.hub_server import HubServer, Repository

from llenergymeasure.config.study.lock import ModelsLock, Pin, read_lock, write_lock
from llenergymeasure.models.errors import PinError
from llenergymeasure.models.hub.pin import resolve_pins


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "models.lock.yaml"


def test_a_branch_is_pinned_with_true_hashes_and_then_materialises(
    hub: HubServer, commit: str, tiny_files: dict[str, bytes], path: Path, make: Make
) -> None:
    [line] = resolve_pins([("org/tiny", None), ("org/tiny", "main")], path)
    assert line.startswith(f"org/tiny: main pinned to {commit}")
    lock = read_lock(path)
    files = lock.files("org/tiny", commit)
    assert files is not None
    assert "modeling_tiny.py" in files
    assert not {"README.md", "pytorch_model.bin", "onnx/model.onnx"} & set(files)
    for name, entry in files.items():
        assert (entry.sha256, entry.size) == (
            hashlib.sha256(tiny_files[name]).hexdigest(),
            len(tiny_files[name]),
        )
    assert not hub.of("model.safetensors")  # the hub states the hash of large files
    assert make("org/tiny", lock.commit("org/tiny", None), lock=lock, allow_code=True).has_code


def test_a_moved_branch_is_reported_and_other_entries_stay(
    hub: HubServer, commit: str, tiny_files: dict[str, bytes], path: Path
) -> None:
    kept = Pin(commit="1" * 40)
    write_lock(ModelsLock().with_pin("org/else", "v1", kept), path)
    resolve_pins([("org/tiny", "main")], path)
    before = path.read_bytes()
    assert resolve_pins([("org/tiny", "main")], path) == [f"org/tiny: main unchanged at {commit}"]
    assert path.read_bytes() == before
    moved = hub.repositories["org/tiny"].commit("main", {**tiny_files, "config.json": b'{"model_type": "llama"}'})
    [line] = resolve_pins([("org/tiny", "main")], path)
    assert f"moved from {commit} to {moved}" in line
    assert read_lock(path).models["org/else"] == {"v1": kept}
    assert read_lock(path).commit("org/tiny", "main") == moved


def test_a_commit_is_its_own_pin_and_gets_hashes(commit: str, path: Path) -> None:
    resolve_pins([("org/tiny", commit)], path)
    assert read_lock(path).files("org/tiny", commit)


@pytest.mark.usefixtures("commit")
def test_problems_are_one_line_each_and_leave_the_lock_alone(hub: HubServer, path: Path) -> None:
    hub.repositories["org/pickle"] = Repository()
    hub.repositories["org/pickle"].commit("main", {"config.json": b"{}", "pytorch_model.bin": b"x"})
    wanted = [("org/tiny", "main"), ("org/none", None), ("org/tiny", "v9"), ("org/pickle", None), ("./x", None)]
    with pytest.raises(PinError) as caught:
        resolve_pins(wanted, path)
    assert [problem.split(" ")[0] for problem in caught.value.problems] == [
        "org/none",
        "org/tiny",
        "org/pickle",
        "./x",
    ]
    assert not path.exists()


@pytest.mark.usefixtures("commit")
def test_a_small_file_that_is_not_what_the_hub_lists_is_not_pinned(hub: HubServer, path: Path) -> None:
    hub.served["org/tiny", "modeling_tiny.py"] = b"print('evil')\n"
    with pytest.raises(PinError, match=r"modeling_tiny\.py is not the file the hub lists"):
        resolve_pins([("org/tiny", None)], path)


def test_no_network_is_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PinError, match="cannot be reached") as caught:
        resolve_pins([("org/tiny", None)], path)
    assert "\n" not in str(caught.value)
