"""A split, or files, of a hub data set become a commit with the hash of every file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from models.hub.hub_server import HubServer, Repository
from pyarrow import parquet

from llenergymeasure.config.study.lock import DatasetAsked, ModelsLock, Pin, read_lock, write_lock
from llenergymeasure.models.errors import PinError, SnapshotError
from llenergymeasure.models.hub.api import endpoint
from llenergymeasure.models.hub.datasets import CONVERTED, fetch_dataset_file, pin_dataset
from llenergymeasure.models.hub.pin import resolve_pins

Publish = Callable[..., str]
README = """---
configs:
- config_name: en
  data_files:
  - split: train
    path: "english/part-*.parquet"
  - split: test
    path: [english/held.jsonl]
- config_name: de
  default: true
  data_dir: german
  data_files: "*.csv"
---
# A data set
"""


def table(*texts: str) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": list(texts)}), buffer)
    return buffer.getvalue()


PARTS = {"english/part-1.parquet": table("c"), "english/part-0.parquet": table("a", "b")}
FILES = {
    "README.md": README.encode(),
    **PARTS,
    "english/held.jsonl": b'{"text": "held"}\n',
    "english/part-2.parquet.md5": b"x",
    "german/a.csv": b"text\nHallo\n",
    "german/deep/b.csv": b"text\nnein\n",
}


@pytest.fixture
def publish(hub: HubServer) -> Publish:
    def commit(files: dict[str, bytes], branch: str = "main", name: str = "org/set") -> str:
        repository = hub.repositories.setdefault(f"datasets/{name}", Repository())
        return repository.commit(branch, files)

    return commit


def asked(split: str | None = "train", revision: str = "main", **more: Any) -> DatasetAsked:
    return DatasetAsked(revision=revision, split=split, **more)


def names(pin: Any) -> list[str]:
    return sorted(pin.files)


class TestASplit:
    def test_has_the_files_that_the_readme_gives_it(self, publish: Publish, hub: HubServer) -> None:
        commit = publish(FILES)
        pin = pin_dataset("org/set", asked(config="en"))
        assert (pin.commit, names(pin)) == (commit, sorted(PARTS))
        for path, content in PARTS.items():
            assert pin.files[path].sha256 == hashlib.sha256(content).hexdigest()
            assert pin.files[path].size == len(content)
        assert not hub.of(".parquet")  # the hub states the hash of large files
        small = pin_dataset("org/set", asked("test", config="en")).files["english/held.jsonl"]
        assert small.sha256 == hashlib.sha256(FILES["english/held.jsonl"]).hexdigest()

    def test_without_a_configuration_is_of_the_default_one(self, publish: Publish) -> None:
        publish(FILES)
        assert names(pin_dataset("org/set", asked())) == ["german/a.csv"]

    @pytest.mark.parametrize(
        ("files", "split", "wanted"),
        [
            (["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-0.parquet"], "train",
             ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]),
            (["dev.jsonl", "train.jsonl", "card.txt"], "validation", ["dev.jsonl"]),
            (["validation/a.csv", "training/a.csv", "trainer.csv"], "train", ["training/a.csv"]),
            (["rows.json", "notes.txt"], "train", ["rows.json"]),
            (["gsm/hard.jsonl", "gsm/easy.jsonl"], "hard", ["gsm/hard.jsonl"]),
        ],
    )  # fmt: skip
    def test_is_found_by_the_names_of_files(
        self, publish: Publish, files: list[str], split: str, wanted: list[str]
    ) -> None:
        publish(dict.fromkeys(files, b"x"))
        assert names(pin_dataset("org/set", asked(split))) == wanted

    def test_that_only_the_hubs_copy_has_is_pinned_by_the_copys_commit(self, publish: Publish, tmp_path: Path) -> None:
        publish({"data.tar.gz": b"x", "set.py": b"code"})
        copied = publish(
            {
                "en/train/0000.parquet": table("a"),
                "en/partial-test/0000.parquet": table("t"),
                "de/train/0000.parquet": table("b"),
            },
            CONVERTED,
        )
        pin = pin_dataset("org/set", asked(config="en"))
        assert (pin.commit, names(pin)) == (copied, ["en/train/0000.parquet"])
        (line,) = resolve_pins([], tmp_path / "lock.yaml", datasets=[("org/set", asked("test", config="en"))])
        assert line.endswith("; the hub's Parquet copy has only the first part of this split")
        (part,) = read_lock(tmp_path / "lock.yaml").datasets["org/set"]
        assert names(part) == ["en/partial-test/0000.parquet"]
        with pytest.raises(SnapshotError, match=r"several configurations; set dataset\.config to one of de, en$"):
            pin_dataset("org/set", asked())

    @pytest.mark.parametrize(
        ("wanted", "what"),
        [
            (asked("tran", config="en"), "it has no split 'tran'; did you mean 'train'? (there are: test, train)"),
            (
                asked(config="fr"),
                "it has no configuration 'fr' (there are: de, en); the hub has no Parquet copy of it",
            ),
            (asked("test"), "it has no split 'test' (there are: train)"),
        ],
    )
    def test_that_is_not_there_is_answered_with_those_there_are(
        self, publish: Publish, wanted: DatasetAsked, what: str
    ) -> None:
        publish(FILES)
        with pytest.raises(SnapshotError) as error:
            pin_dataset("org/set", wanted)
        assert str(error.value).startswith("data set org/set: ")
        assert what in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("files", "what"),
        [
            (["train.csv", "train.jsonl"], "has files of several kinds (.csv, .jsonl); name them as dataset.path"),
            (["train.tar.gz"], "it has no files of split 'train' that can be read (.jsonl, .json, .csv, .parquet)"),
        ],
    )
    def test_whose_files_do_not_fit_is_refused(self, publish: Publish, files: list[str], what: str) -> None:
        publish(dict.fromkeys(files, b"x"))
        with pytest.raises(SnapshotError) as error:
            pin_dataset("org/set", asked())
        assert what in str(error.value)

    @pytest.mark.parametrize(
        ("head", "what"),
        [
            ("configs: [", "the head of its README cannot be read as YAML"),
            ("configs:\n- {config_name: a, data_files: '**.csv'}", "by a pattern that cannot be read"),
            (
                "configs:\n- {config_name: a, data_files: gone/*.csv}",
                "describes files gone/*.csv of split 'train', which",
            ),
            ("configs:\n- {config_name: a, data_files: '*.arrow'}", "end in .arrow, which is not read"),
        ],
    )
    def test_of_a_readme_that_cannot_be_followed_is_refused(self, publish: Publish, head: str, what: str) -> None:
        publish({"README.md": f"---\n{head}\n---\n".encode(), "x.arrow": b"x"})
        with pytest.raises(SnapshotError) as error:
            pin_dataset("org/set", asked())
        assert what in str(error.value)
        assert "\n" not in str(error.value)


class TestTheLock:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "config" / "models.lock.yaml"

    def test_gets_data_sets_beside_models_and_tells_when_one_moves(self, publish: Publish, path: Path) -> None:
        kept = Pin(commit="1" * 40)
        write_lock(ModelsLock().with_pin("org/else", "v1", kept), path)
        first = publish(FILES)
        wanted = [("org/set", asked(config="en")), ("org/set", asked(None, paths=("german/a.csv",)))]
        report = resolve_pins([], path, datasets=[*wanted, *wanted])
        assert [line.partition(" (")[0] for line in report] == [
            f"data set org/set, config en, split train: main pinned to {first}",
            f"data set org/set: main pinned to {first}",
        ]
        before = path.read_bytes()
        assert resolve_pins([], path, datasets=wanted[:1]) == [
            f"data set org/set, config en, split train: main unchanged at {first}"
        ]
        assert path.read_bytes() == before
        second = publish({**FILES, "english/part-1.parquet": table("other")})
        (line,) = resolve_pins([], path, datasets=wanted[:1])
        assert f"moved from {first} to {second}" in line
        lock = read_lock(path)
        assert lock.models["org/else"] == {"v1": kept}
        pin = lock.dataset(*wanted[0])
        assert pin is not None and pin.commit == second
        assert lock.dataset_file("org/set", second, "english/part-1.parquet") == pin.files["english/part-1.parquet"]
        assert lock.dataset_file("org/set", second, "german/a.csv") is None
        assert {pin.commit for pin in lock.only((), [("org/set", first)]).datasets["org/set"]} == {first}

    def test_is_left_alone_where_something_cannot_be_pinned(self, publish: Publish, path: Path) -> None:
        publish(FILES)
        with pytest.raises(PinError) as caught:
            resolve_pins(
                [],
                path,
                datasets=[
                    ("org/set", asked(config="en")),
                    ("org/none", asked()),
                    ("org/set", asked(revision="v9")),
                    ("org/set", asked(None, paths=("none.csv",))),
                ],
            )
        assert [problem.partition(";")[0] for problem in caught.value.problems] == [
            f"data set org/none is not on {endpoint()}",
            "data set org/set has no revision v9",
            f"data set org/set@{publish(FILES)[:12]} has no file none.csv",
        ]
        assert not path.exists()


def test_a_gated_data_set_says_what_to_do(publish: Publish, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(FILES)
    hub.repositories["datasets/org/set"].gated = True
    hub.answers["datasets/org/set/revision/main"] = [(403, {"X-Error-Code": "GatedRepo"})]
    with pytest.raises(SnapshotError, match="org/set@main is gated, and the account of your token has no access"):
        pin_dataset("org/set", asked(config="en"))
    hub.answers.clear()
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(
        SnapshotError, match=r"org/set@main is gated: accept its terms on .*/datasets/org/set, then set HF_TOKEN"
    ):
        pin_dataset("org/set", asked(config="en"))


def test_a_large_file_is_fetched_at_its_commit(publish: Publish) -> None:
    commit = publish(FILES)
    assert (
        fetch_dataset_file("org/set", commit, "english/part-0.parquet").read_bytes() == PARTS["english/part-0.parquet"]
    )


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SnapshotError, match=r"data set org/set@main: .* cannot be reached") as caught:
        pin_dataset("org/set", asked())
    assert "\n" not in str(caught.value)
