"""Prompts from a dataset on a hub."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from measurement.prompts.dataset_hub import DatasetHub
from pyarrow import parquet
from transformers import PreTrainedTokenizerFast

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.datasets import check_dataset, open_rows, read_rows
from llenergymeasure.measurement.prompts.prompts import PromptError, build_prompts
from llenergymeasure.models.files import content_digest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def hub() -> Iterator[DatasetHub]:
    with DatasetHub() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


class TestAHubDataset:
    COMMIT = DatasetHub.COMMIT

    def dataset(self, path: str = "data/train.parquet", **more: Any) -> DatasetConfig:
        given = {"name": "org/set", "revision": self.COMMIT, "column": "text", **more}
        return DatasetConfig(source="hub", path=path, **given)

    @pytest.fixture
    def table(self, tmp_path: Path) -> Path:
        path = tmp_path / "blob"  # a cache may store it under any name
        parquet.write_table(pyarrow.table({"id": [1, 2, 3], "text": ["one", "two", None]}), path)
        return path

    def test_is_fetched_at_its_commit(self, table: Path, plain: PreTrainedTokenizerFast) -> None:
        asked = []

        def fetch(*what: str) -> Path:
            asked.append(what)
            return table

        made = build_prompts(self.dataset(), n=2, max_input_tokens=99, tokenizer=plain, seed=0, fetch_dataset=fetch)
        assert asked == [("org/set", self.COMMIT, "data/train.parquet")]
        assert [prompt.text for prompt in made.prompts] == ["one", "two"]
        assert made.description["name"] == "org/set"
        assert made.description["revision"] == self.COMMIT
        assert made.description["file_sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()

    def test_the_rules_for_columns_hold(self, table: Path, tmp_path: Path) -> None:
        with pytest.raises(PromptError, match=r"org/set/data/train\.parquet, row 3: column 'text' contains null"):
            read_rows(self.dataset(), 3, 0, lambda *_: table)
        with pytest.raises(PromptError, match=r"no column 'txt'; did you mean 'text'\? \(there are: id, text\)"):
            read_rows(self.dataset(column="txt"), 1, 0, lambda *_: table)
        with pytest.raises(PromptError, match="column 'id' contains a number"):
            read_rows(self.dataset(column="id"), 1, 0, lambda *_: table)
        (tmp_path / "broken").write_bytes(b"not parquet at all")
        with pytest.raises(PromptError, match="is not a Parquet file"):
            read_rows(self.dataset(), 1, 0, lambda *_: tmp_path / "broken")

    def test_its_path_is_checked_without_a_network(self) -> None:
        check_dataset(self.dataset(), 10)
        with pytest.raises(PromptError, match=r"dataset\.path: train\.arrow should end in \.jsonl"):
            check_dataset(self.dataset("train.arrow"), 10)
        with pytest.raises(PromptError, match=r"dataset\.path"):
            read_rows(self.dataset("train.arrow"), 10, 0, lambda *_: pytest.fail("was fetched"))

    def test_one_that_is_not_pinned_is_not_fetched(self) -> None:
        unpinned = DatasetConfig(source="hub", name="org/set", split="train", column="text")
        with pytest.raises(PromptError, match=r"org/set at 'main' is not pinned; run `snakemake pin`"):
            read_rows(unpinned, 10, 0, lambda *_: pytest.fail("was fetched"))

    def test_files_are_read_one_after_the_other_and_fetched_when_they_are_needed(self, tmp_path: Path) -> None:
        for number, texts in enumerate((["a", "b"], ["c", "d"], ["e"])):
            parquet.write_table(pyarrow.table({"text": texts}), tmp_path / f"{number}.parquet")
        asked: list[str] = []

        def fetch(*what: str) -> Path:
            asked.append(what[2])
            return tmp_path / what[2]

        shards = self.dataset().model_copy(update={"path": ["0.parquet", "1.parquet", "2.parquet"]})
        rows = open_rows(shards, 3, 0, fetch)
        assert [(row.text, row.place) for row in rows.first(3)] == [
            ("a", "org/set/0.parquet, row 1"),
            ("b", "org/set/0.parquet, row 2"),
            ("c", "org/set/1.parquet, row 1"),
        ]
        assert asked == ["0.parquet", "1.parquet"]
        hashes = {f"org/set/{name}": hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in asked}
        assert rows.file_sha256 == content_digest(hashes)
        asked.clear()
        sampled = shards.model_copy(update={"sample_seed": 1})
        assert {row.text for row in read_rows(sampled, 5, 0, fetch)} == {*"abcde"}
        assert asked == ["0.parquet", "1.parquet", "2.parquet"]

    def fetch_in_a_process(self, hub: DatasetHub, cache: Path, dataset: DatasetConfig, **more: str) -> str:
        """What the default way of fetching gives: the texts, or the error. huggingface_hub reads its
        environment when it is imported."""
        program = (
            "import sys\n"
            "from llenergymeasure.config import DatasetConfig\n"
            "from llenergymeasure.measurement.prompts.datasets import read_rows\n"
            "from llenergymeasure.measurement.prompts.errors import PromptError\n"
            "try:\n"
            "    print([row.text for row in read_rows(DatasetConfig.model_validate_json(sys.argv[1]), 2, 0)])\n"
            "except PromptError as error:\n"
            "    print('PromptError:', error)\n"
        )
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(cache),
            "HF_HUB_DISABLE_XET": "1",
            "PYTHONPATH": str(ROOT / "scripts"),
            **more,
        }
        done = subprocess.run(
            [sys.executable, "-c", program, dataset.model_dump_json()],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def test_from_a_hub_once_and_then_from_the_cache(self, hub: DatasetHub, tmp_path: Path) -> None:
        dataset, offline = self.dataset("p.jsonl"), {"HF_HUB_OFFLINE": "1"}
        refused = self.fetch_in_a_process(hub, tmp_path, dataset, **offline)
        assert refused.startswith("PromptError: p.jsonl of data set org/set@aaaaaaaaaaaa is not in the local cache")
        assert hub.asked == []
        assert self.fetch_in_a_process(hub, tmp_path, dataset) == "['one', 'two']"
        assert f"/datasets/org/set/resolve/{self.COMMIT}/p.jsonl" in hub.asked
        hub.asked.clear()
        assert self.fetch_in_a_process(hub, tmp_path, dataset, **offline) == "['one', 'two']"
        assert hub.asked == []

    @pytest.mark.parametrize(
        ("path", "more", "what"),
        [
            ("q.jsonl", {}, "has no file q.jsonl"),
            ("p.jsonl", {"revision": "b" * 40}, "has no revision bbbbbbbb"),
            ("p.jsonl", {"name": "org/none"}, "data set org/none is not on"),
        ],
    )
    def test_what_a_hub_does_not_have(
        self, hub: DatasetHub, tmp_path: Path, path: str, more: dict[str, str], what: str
    ) -> None:
        answer = self.fetch_in_a_process(hub, tmp_path, self.dataset(path, **more))
        assert answer.startswith("PromptError: ")
        assert what in answer
