"""What every source has in common: nothing half-written, everything recorded, everything checked again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from models.conftest import TINY, Make

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models import snapshot as snapshot_module
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.snapshot import Snapshot, materialise, read_snapshot, verify_snapshot


def test_the_record_says_what_was_made_and_nothing_about_this_machine(make: Make, tmp_path: Path) -> None:
    snapshot = make(TINY)
    record = json.loads((snapshot.path / "snapshot.json").read_text())
    assert (record["source"], record["model"], record["revision"]) == ("random", TINY, None)
    assert set(record["files"]) == {path.name for path in snapshot.path.iterdir()} - {"snapshot.json"}
    assert record == snapshot.to_dict()
    assert str(tmp_path) not in json.dumps(record)
    assert read_snapshot(snapshot.path) == snapshot


def test_the_digest_depends_on_every_file(make: Make) -> None:
    one, two = make(TINY), make(TINY.replace("seed=7", "seed=8"))
    assert len(one.content_digest) == 64
    assert one.content_digest != two.content_digest


def test_damage_is_named(make: Make) -> None:
    folder = make(TINY).path
    weights = folder / "model.safetensors"
    true = weights.read_bytes()
    weights.write_bytes(true[:-1] + bytes([true[-1] ^ 1]))
    with pytest.raises(SnapshotError, match=r"model\.safetensors has changed"):
        verify_snapshot(folder)
    weights.unlink()
    with pytest.raises(SnapshotError, match=r"model\.safetensors is missing"):
        verify_snapshot(folder)
    weights.write_bytes(true)
    (folder / ".snakemake_timestamp").touch()
    verify_snapshot(folder)
    (folder / "modeling.py").write_text("print('slipped in')")
    with pytest.raises(SnapshotError, match=r"modeling\.py does not belong to the snapshot"):
        verify_snapshot(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 1, "files": [1]}', "\0"])
def test_what_is_not_a_record_is_not_a_snapshot(tmp_path: Path, text: str) -> None:
    (tmp_path / "snapshot.json").write_text(text)
    with pytest.raises(SnapshotError, match="is not a snapshot record"):
        read_snapshot(tmp_path)
    with pytest.raises(SnapshotError, match="does not contain a snapshot"):
        read_snapshot(tmp_path / "none")


def test_records_cannot_reach_outside_their_folder(make: Make) -> None:
    folder = make(TINY).path
    record = json.loads((folder / "snapshot.json").read_text())
    record["files"]["../../etc/passwd"] = {"sha256": "0" * 64, "size": 1}
    (folder / "snapshot.json").write_text(json.dumps(record))
    with pytest.raises(SnapshotError, match="names files outside"):
        verify_snapshot(folder)


def test_a_failed_attempt_leaves_nothing(make: Make, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError):
        make("random:llama?vocab_size=3")
    assert list((tmp_path / "results" / "models").iterdir()) == []


def test_leftovers_of_an_interrupted_run_are_removed(make: Make, tmp_path: Path) -> None:
    key = parse_model_ref(TINY).key(None)
    partial = tmp_path / "results" / "models" / f".{key}.partial"
    partial.mkdir(parents=True)
    (partial / "half.json").write_bytes(b"{")
    snapshot = make(TINY)
    assert "half.json" not in snapshot.files
    assert [path.name for path in partial.parent.iterdir()] == [key]


def test_two_studies_that_want_one_model_make_it_once(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def slowly(destination: Path, *arguments: Any, **more: Any) -> Snapshot:
        begun.append(destination)
        time.sleep(0.5)
        return made(destination, *arguments, **more)

    made = snapshot_module._make
    monkeypatch.setattr(snapshot_module, "_make", slowly)
    with ThreadPoolExecutor(3) as studies:
        digests = {snapshot.content_digest for snapshot in studies.map(make, [TINY] * 3)}
    assert len(digests) == len(begun) == 1
    assert [path.name for path in (tmp_path / "results" / "models").iterdir()] == [parse_model_ref(TINY).key(None)]


def test_a_folder_that_is_not_a_snapshot_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(SnapshotError, match="is not a snapshot, so it is not replaced"):
        materialise(parse_model_ref(TINY), None, tmp_path / "mine", lock=ModelsLock())
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert materialise(parse_model_ref(TINY), None, tmp_path / "model", lock=ModelsLock()).files


def test_a_snapshot_made_of_links_is_read_like_any_other(make: Make, tmp_path: Path, tiny_folder: Path) -> None:
    """Snakemake's between-workflow cache gives back a folder of links, or a link to a folder."""
    mine = Path(shutil.copytree(tiny_folder, tmp_path / "mine"))
    (mine / "additional_chat_templates").mkdir()
    (mine / "additional_chat_templates" / "tools.jinja").write_text("{{ messages }}")
    snapshot = make(str(mine))
    assert "additional_chat_templates/tools.jinja" in snapshot.files
    linked, entries = tmp_path / "linked", tmp_path / "entries"
    linked.symlink_to(snapshot.path)
    entries.mkdir()
    for path in snapshot.path.iterdir():
        (entries / path.name).symlink_to(path)
    assert verify_snapshot(linked).content_digest == snapshot.content_digest
    assert verify_snapshot(entries).content_digest == snapshot.content_digest
    (mine / "additional_chat_templates" / "slipped_in.jinja").write_text("")
    (entries / "additional_chat_templates").unlink()
    (entries / "additional_chat_templates").symlink_to(mine / "additional_chat_templates")
    with pytest.raises(SnapshotError, match="slipped_in"):
        verify_snapshot(entries)


def test_unpinned_is_an_error_that_says_what_to_run(tmp_path: Path) -> None:
    for text, revision, message in [
        ("org/name", "main", "run `snakemake pin`"),
        ("org/name", None, "run `snakemake pin`"),
        ("package:pytest/x.gguf", None, "needs the version"),
        (TINY, "main", "has no revisions"),
    ]:
        with pytest.raises(SnapshotError, match=message):
            materialise(parse_model_ref(text), revision, tmp_path / "model", lock=ModelsLock())
    assert not (tmp_path / "model").exists()


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SnapshotError, match="cannot write") as caught:
        materialise(parse_model_ref(TINY), None, tmp_path / "file" / "model", lock=ModelsLock())
    assert "\n" not in str(caught.value)


def test_reading_snapshots_and_pins_needs_no_torch() -> None:
    program = (
        "import sys; import llenergymeasure.models.snapshot, llenergymeasure.models.hub.pin\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0
