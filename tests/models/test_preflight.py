"""Models that cannot be used are named before anything is fetched or loaded, each with the file and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants, snapshot_download
from models import made_models
from models.conftest import Make
from models.hub.hub_server import HubServer
from models.hub.test_hub import lock_for
from models.made_models import WEIGHTS, copy, lfs_pointer

from llenergymeasure.config.settings.sources import SourceIntent
from llenergymeasure.config.study.lock import ModelsLock, Pin
from llenergymeasure.models import tokenizer_files
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.preflight import why_unusable


def why(folder: Path, lock: ModelsLock | None = None, role: str = "model") -> str | None:
    return why_unusable(SourceIntent(role, str(folder), None), lock or ModelsLock(), folder.parent / "snapshots")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def dangle(path: Path) -> None:
    path.symlink_to("/nowhere/at-all.json")


def with_field(name: str, value: object) -> Callable[[Path], None]:
    """A field of config.json with another value."""

    def change(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))

    return change


SPOILED: list[tuple[str, Callable[[Path], None], str]] = [
    (WEIGHTS, lfs_pointer, f"{WEIGHTS} is a git-lfs pointer, not the file: run git lfs pull"),
    ("tokenizer.json", lfs_pointer, "tokenizer.json is a git-lfs pointer"),
    ("config.json", lfs_pointer, "config.json is a git-lfs pointer"),
    (WEIGHTS, cut, "bytes: the download is not finished; download it again"),
    (WEIGHTS, lambda path: path.write_bytes(b""), f"{WEIGHTS} is not a safetensors file"),
    (WEIGHTS, lambda path: path.write_bytes(b"<html>" * 99), f"{WEIGHTS} is not a safetensors file"),
    ("tokenizer.json", lambda path: path.write_bytes(b'{"a"'), "tokenizer.json is not readable JSON"),
    ("config.json", lambda path: path.write_bytes(b"\xff\xfe"), "config.json is not readable JSON"),
    ("config.json", with_field("quantization_config", "awq"), "quantization_config: 'awq', but transformers reads an"),
    ("config.json", with_field("text_config", [1]), "text_config: [1], but transformers reads an object with keys"),
    ("extra.json", dangle, "extra.json is a link to /nowhere/at-all.json, which does not exist"),
    ("adapter_config.json", lambda path: path.write_text("{}"), "has an adapter_config.json beside its weights"),
]


@pytest.mark.parametrize(("name", "spoil", "said"), SPOILED, ids=[f"{name}-{said[:20]}" for name, _, said in SPOILED])
def test_a_spoiled_file_is_named_early_and_when_the_snapshot_is_made(
    tiny_folder: Path, tmp_path: Path, make: Make, name: str, spoil: Callable[[Path], None], said: str
) -> None:
    folder = copy(tiny_folder, tmp_path / "mine")
    assert why(folder) is None
    spoil(folder / name)
    reason = why(folder)
    assert reason is not None and said in reason and "\n" not in reason
    with pytest.raises(SnapshotError) as caught:
        make(str(folder))
    assert str(caught.value) == reason


def test_incomplete_folders(tiny_folder: Path, tmp_path: Path) -> None:
    assert "only pickled weights" in str(why(made_models.only_bin(tiny_folder, tmp_path / "bin")))
    assert "has no tokenizer" in str(why(made_models.no_tokenizer(tiny_folder, tmp_path / "none")))
    assert "it is not a LoRA adapter" in str(why(tiny_folder, role="adapter"))
    assert "there is no folder" in str(why(tmp_path / "gone"))


@pytest.mark.parametrize(
    ("file", "content", "package"),
    [
        ("tokenizer.model", b"\n\x0e\n\x05<unk>", "sentencepiece"),
        ("tokenizer.model", b"IQ== 0\nIg== 1\n", "tiktoken"),
        ("spiece.model", b"\n\x0e\n\x05<unk>", "sentencepiece"),
        ("qwen.tiktoken", b"IQ== 0\n", "tiktoken"),
    ],
)
def test_a_tokenizer_names_the_package_that_reads_it(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: bytes, package: str
) -> None:
    folder = copy(tiny_folder, tmp_path / "mine")
    (folder / file).write_bytes(content)
    monkeypatch.setattr(tokenizer_files, "_installed", lambda _: False)
    assert why(folder) is None  # tokenizer.json is read
    (folder / "tokenizer.json").unlink()
    reason = str(why(folder))
    assert f"({file}) without tokenizer.json, and {package}" in reason
    assert f"run pip install {package}" in reason
    monkeypatch.setattr(tokenizer_files, "_installed", lambda _: True)
    assert why(folder) is None


def test_tokenizers_that_need_no_package(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy(tiny_folder, tmp_path / "mine")
    (folder / "tokenizer.json").rename(folder / "tekken.json")
    monkeypatch.setattr(tokenizer_files, "_installed", lambda _: False)
    assert why(folder) is None
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "MistralCommonBackend"}')
    assert "a Mistral file (tekken.json)" in str(why(folder)) and "pip install mistral-common" in str(why(folder))


def test_a_pinned_hub_model_is_judged_by_lock_and_cache(
    hub: HubServer, commit: str, tiny_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SourceIntent("model", "org/tiny", commit)

    def reason(files: dict[str, bytes]) -> str | None:
        return why_unusable(source, lock_for("org/tiny", commit, files), tmp_path / "models")

    assert reason(tiny_files) is None
    assert "has no tokenizer" in str(reason({path: tiny_files[path] for path in ("config.json", WEIGHTS)}))
    assert why_unusable(source, ModelsLock().with_pin("org/tiny", "main", Pin(commit=commit)), tmp_path) is None
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in str(reason(tiny_files))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    cached = Path(snapshot_download("org/tiny", revision=commit, endpoint=hub.endpoint))
    assert reason(tiny_files) is None
    lfs_pointer(cached / WEIGHTS)
    asked = len(hub.requests)
    assert "is a git-lfs pointer" in str(reason(tiny_files))
    assert len(hub.requests) == asked


@pytest.mark.parametrize(
    "names",
    [
        ("model-00001-of-000002.safetensors", "model-00002-of-000002.safetensors"),
        ("first.safetensors", "layers/second.safetensors"),
    ],
)
def test_shards_of_any_name_are_a_model(tiny_folder: Path, tmp_path: Path, make: Make, names: tuple[str, ...]) -> None:
    folder = made_models.sharded(tiny_folder, tmp_path / "shards", names)
    for foreign in ("runs/2026-01-01_12:00:00/events.out", "a\\b.txt"):
        (folder / foreign).parent.mkdir(parents=True, exist_ok=True)
        (folder / foreign).write_text("x")
    (folder / WEIGHTS).write_bytes(b"a leftover")
    assert why(folder) is None
    snapshot = make(str(folder))
    assert {path for path in snapshot.files if path.endswith(".safetensors")} == set(names)
    assert snapshot.notes["unread_weights"] == WEIGHTS
    # Plain transformers reads the same tensors from the snapshot.
    from transformers import AutoModelForCausalLM

    _, report = AutoModelForCausalLM.from_pretrained(snapshot.path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert json.loads((snapshot.path / "config.json").read_text())["model_type"] == "llama"
