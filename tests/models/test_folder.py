"""Models from a local folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from models.conftest import Make

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.models.at_hand import model_at_hand
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import list_folder
from llenergymeasure.models.here import why_missing
from llenergymeasure.models.snapshot import verify_snapshot
from llenergymeasure.models.tensors import stored_tensors

WEIGHTS = "model.safetensors"


@pytest.fixture
def mine(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "mine"))


def test_weights_take_no_second_place_on_disk(mine: Path, make: Make) -> None:
    snapshot = make(str(mine))
    assert (snapshot.path / WEIGHTS).samefile(mine / WEIGHTS)
    assert not (snapshot.path / "config.json").samefile(mine / "config.json")
    assert verify_snapshot(snapshot.path).files == snapshot.files


def test_where_hard_links_are_impossible_weights_are_linked_by_name(
    mine: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_device(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", another_device)
    snapshot = make(str(mine))
    assert (snapshot.path / WEIGHTS).readlink() == mine / WEIGHTS
    assert verify_snapshot(snapshot.path).files == snapshot.files


def test_a_snapshot_outlives_the_folder(mine: Path, make: Make) -> None:
    snapshot = make(str(mine))
    shutil.rmtree(mine)
    assert verify_snapshot(snapshot.path).files == snapshot.files


def test_a_snapshot_is_a_folder_like_any_other(mine: Path, make: Make) -> None:
    first = make(str(mine))
    second = make(str(first.path))
    assert second.path != first.path
    assert verify_snapshot(second.path).files == first.files


def test_overwriting_the_original_in_place_is_noticed(mine: Path, make: Make) -> None:
    snapshot = make(str(mine))
    with (mine / WEIGHTS).open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\1")
    with pytest.raises(SnapshotError, match=f"{WEIGHTS} has changed"):
        verify_snapshot(snapshot.path)


def test_a_changed_folder_gives_a_new_snapshot(mine: Path, make: Make) -> None:
    first = make(str(mine))
    (mine / "extra.json").write_text("{}")
    assert "extra.json" in make(str(mine)).files
    assert "extra.json" not in first.files


def test_an_adapter_beside_the_weights_is_refused_before_the_library_lays_it_over_them(mine: Path, make: Make) -> None:
    (mine / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "another/model"}')
    with pytest.raises(SnapshotError, match=r"has an adapter_config\.json beside its weights.*pytorch\.adapter"):
        make(str(mine))


def test_code_comes_only_when_allowed(mine: Path, make: Make) -> None:
    (mine / "modeling_mine.py").write_text("print('code')")
    assert not make(str(mine)).has_code
    assert make(str(mine), allow_code=True).has_code


def test_relative_to_the_working_directory(mine: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine.parent)
    assert make("./mine").files == make(str(mine)).files


def test_links_in_a_circle_and_pipes_are_passed_by(mine: Path, make: Make) -> None:
    files = set(make(str(mine)).files)
    for name in ("a", "b", "c"):
        (mine / name).symlink_to(mine)
    (mine / "deep").mkdir()
    (mine / "deep" / "up").symlink_to(mine)
    (mine / "elsewhere").symlink_to(mine.parent / "elsewhere")
    os.mkfifo(mine / "notes.json")
    assert set(make(str(mine)).files) == files
    assert [path for path in list_folder(mine) if path in ("elsewhere", "notes.json")] == ["elsewhere"]
    (mine / WEIGHTS).unlink()
    os.mkfifo(mine / WEIGHTS)
    with pytest.raises(SnapshotError, match="has no weights"):
        make(str(mine))
    assert list(stored_tensors(mine)) == []


def test_what_is_not_a_model_is_one_line(mine: Path, make: Make) -> None:
    for name in ("./" + "a" * 300, str(mine / ("a" * 300))):
        assert why_missing(parse_model_ref(name), None) == f"{name}: File name too long; correct the name"
        assert model_at_hand(parse_model_ref(name), None, mine) is None
    with pytest.raises(SnapshotError, match="there is no folder"):
        make(str(mine / "nowhere"))
    (mine / WEIGHTS).rename(mine / "pytorch_model.bin")
    with pytest.raises(SnapshotError, match="only pickled weights"):
        make(str(mine))
    (mine / "pytorch_model.bin").unlink()
    with pytest.raises(SnapshotError, match="has no weights"):
        make(str(mine))


def test_damaged_config_is_one_line(mine: Path, make: Make) -> None:
    (mine / "config.json").write_text("{")
    with pytest.raises(SnapshotError, match=r"config\.json is not readable JSON"):
        make(str(mine))
