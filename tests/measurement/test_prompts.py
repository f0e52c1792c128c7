"""Prompts: which texts are chosen, which ids a model gets, and what is said when a dataset is not as asked."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import pyarrow
import pytest
from pyarrow import parquet
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers import models as tokenizer_models
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.datasets import SOURCES, check_dataset, read_texts
from llenergymeasure.measurement.prompts.prompts import PromptError, PromptSet, build_prompts
from llenergymeasure.measurement.prompts.sources.builtin import BUILTIN

ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    "question",
    "instruction",
    "summarise",
    "code",
    "dialogue",
    "reasoning",
    "creative",
    "extraction",
    "translation",
}
CHAT = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
CHAT_TOKENS = len("<user></user><assistant>") + 1


def make_tokenizer(chat_template: Any = None) -> PreTrainedTokenizerFast:
    """One token a byte, ids 0..255, then <s> and </s>, and one word added to the vocabulary. Plain text gets <s>."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(tokenizer_models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.add_tokens([AddedToken("joule", normalized=False)])
    start = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", start)])
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    made.chat_template = chat_template
    return made


class Letters(PreTrainedTokenizer):
    """A tokenizer without the Rust library, which can't say where its tokens lie in the text: a is 0, z is 25."""

    def __init__(self) -> None:
        super().__init__()

    @property
    def vocab_size(self) -> int:
        return 26

    def get_vocab(self) -> dict[str, int]:
        return {chr(ord("a") + i): i for i in range(26)}

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        return list(text)

    def _convert_token_to_id(self, token: str) -> int:
        return self.get_vocab()[token]

    def _convert_id_to_token(self, index: int) -> str:
        return chr(ord("a") + index)


@pytest.fixture(scope="module")
def plain() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@pytest.fixture(scope="module")
def chatty() -> PreTrainedTokenizerFast:
    return make_tokenizer(CHAT)


def build(dataset: DatasetConfig, tokenizer: Any, *, n: int = 3, most: int = 10_000, seed: int = 1) -> PromptSet:
    return build_prompts(dataset, n=n, max_input_tokens=most, tokenizer=tokenizer, seed=seed)


def jsonl(path: Path, *rows: Any) -> DatasetConfig:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return DatasetConfig(source="file", path=str(path), column="text")


def said(error: pytest.ExceptionInfo[PromptError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


class DatasetHub(ThreadingHTTPServer):
    """A hub on loopback with one file, p.jsonl, of the dataset org/set at COMMIT; `asked` are the requests."""

    COMMIT = "a" * 40
    FILE = b'{"text": "one"}\n{"text": "two"}\n'

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _DatasetHubHandler)
        self.asked: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _DatasetHubHandler(BaseHTTPRequestHandler):
    server: DatasetHub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.server.asked.append(self.path)
        where, _, rest = self.path.strip("/").partition("/resolve/")
        commit, _, name = rest.partition("/")
        code = (
            "RepoNotFound"
            if where != "datasets/org/set"
            else "RevisionNotFound"
            if commit != DatasetHub.COMMIT
            else "EntryNotFound"
            if name != "p.jsonl"
            else None
        )
        body = b"" if code else DatasetHub.FILE
        self.send_response(404 if code else 200)
        if code:
            self.send_header("X-Error-Code", code)
        else:
            self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_GET = do_HEAD  # noqa: N815


@pytest.fixture
def hub() -> Iterator[DatasetHub]:
    with DatasetHub() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return [json.loads(line) for line in BUILTIN.read_text(encoding="utf-8").splitlines()]


class TestTheBuiltInPrompts:
    def test_there_are_enough_of_every_kind(self, rows: list[dict[str, str]]) -> None:
        assert len(rows) >= 200
        counts = Counter(row["kind"] for row in rows)
        assert set(counts) == KINDS
        assert min(counts.values()) >= 20

    def test_a_row_has_an_id_a_kind_and_a_text_of_its_own(self, rows: list[dict[str, str]]) -> None:
        assert all(set(row) == {"id", "kind", "prompt"} for row in rows)
        assert len({row["id"] for row in rows}) == len(rows)
        assert len({" ".join(row["prompt"].lower().split()) for row in rows}) == len(rows)
        assert all(row["prompt"] == row["prompt"].strip() != "" for row in rows)

    def test_no_two_are_nearly_the_same(self, rows: list[dict[str, str]]) -> None:
        words = [(row["id"], set(row["prompt"].lower().split())) for row in rows]
        alike = [(a, b) for (a, x), (b, y) in combinations(words, 2) if len(x & y) / len(x | y) > 0.5]
        assert alike == []

    def test_no_text_fills_itself_up_by_repetition(self, rows: list[dict[str, str]]) -> None:
        for row in rows:
            words = row["prompt"].split()
            runs = Counter(zip(*(words[i:] for i in range(8)), strict=False))
            assert max(runs.values(), default=1) == 1, row["id"]

    def test_lengths_go_from_a_few_words_to_a_few_hundred(self, rows: list[dict[str, str]]) -> None:
        words = [len(row["prompt"].split()) for row in rows]
        assert sum(count <= 12 for count in words) >= 40
        assert sum(20 <= count <= 120 for count in words) >= 60
        assert sum(120 < count < 300 for count in words) >= 5
        assert sum(300 <= count <= 500 for count in words) >= 20
        assert max(words) <= 500


def test_every_source_that_a_study_may_name_has_a_reader() -> None:
    assert set(get_args(DatasetConfig.model_fields["source"].annotation)) == SOURCES.keys()


class TestTheChoiceOfBuiltInPrompts:
    def test_the_same_seed_chooses_the_same_prompts_in_every_process(self) -> None:
        program = (
            "from llenergymeasure.config import DatasetConfig\n"
            "from llenergymeasure.measurement.prompts.datasets import read_texts\n"
            "import hashlib; print(hashlib.sha256(repr(read_texts(DatasetConfig(), 50, 7).rows).encode()).hexdigest())"
        )
        printed = {
            subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "scripts")},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for seed in ("1", "2")
        }
        here = hashlib.sha256(repr(read_texts(DatasetConfig(), 50, 7).rows).encode()).hexdigest()
        assert printed == {here}

    def test_another_seed_chooses_others(self) -> None:
        assert set(read_texts(DatasetConfig(), 50, 7).rows) != set(read_texts(DatasetConfig(), 50, 8).rows)

    def test_a_smaller_set_is_the_beginning_of_a_larger_one(self) -> None:
        assert read_texts(DatasetConfig(), 20, 3).rows == read_texts(DatasetConfig(), 90, 3).rows[:20]

    @pytest.mark.parametrize("seed", range(5))
    def test_kinds_and_lengths_mix(self, seed: int) -> None:
        rows = read_texts(DatasetConfig(), 27, seed).rows
        assert Counter(kind for kind, _ in rows) == dict.fromkeys(KINDS, 3)
        for kind in KINDS:
            everything = sorted(len(text) for _, text in read_texts(DatasetConfig(kinds=[kind]), 20, 0).rows)
            chosen = sorted(len(text) for found, text in rows if found == kind)
            assert chosen[0] <= everything[len(everything) // 2] <= chosen[2]
        assert len({kind for kind, _ in rows[:9]}) == 9

    def test_all_of_them_can_be_had_once_each(self) -> None:
        count = len(BUILTIN.read_text(encoding="utf-8").splitlines())
        assert len(set(read_texts(DatasetConfig(), count, 0).rows)) == count

    def test_more_than_there_are_is_an_error_with_the_number(self) -> None:
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(), 100_000)
        count = len(BUILTIN.read_text(encoding="utf-8").splitlines())
        assert f"there are {count} built-in prompts" in said(error)

    def test_kinds_are_kept_to(self, plain: PreTrainedTokenizerFast) -> None:
        made = build(DatasetConfig(kinds=["code", "question"]), plain, n=10)
        assert made.description["kinds"] == {"code": 5, "question": 5}
        assert {prompt.kind for prompt in made.prompts} == {"code", "question"}

    def test_too_many_of_a_kind_is_an_error(self) -> None:
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(kinds=["code"]), 150)
        assert "of kind code" in said(error)

    def test_an_unknown_kind_is_answered_with_the_known_ones(self) -> None:
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(kinds=["code", "summarize"]), 5)
        assert "'summarize'; did you mean 'summarise'?" in said(error)
        assert all(kind in said(error) for kind in KINDS)


class TestAFile:
    def test_its_first_rows_in_order(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", *({"text": f"prompt {i}", "other": i} for i in range(5)))
        made = build(dataset, plain, n=3, seed=99)
        assert [prompt.text for prompt in made.prompts] == ["prompt 0", "prompt 1", "prompt 2"]
        assert [prompt.index for prompt in made.prompts] == [0, 1, 2]
        assert made.description["kinds"] == {"file": 3}
        assert made.description["path"] == str(tmp_path / "p.jsonl")
        assert made.description["file_sha256"] == hashlib.sha256((tmp_path / "p.jsonl").read_bytes()).hexdigest()

    def test_csv_with_quoted_line_breaks_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        path = tmp_path / "p.csv"
        path.write_text('text,id\r\n"one,\ntwo",1\r\nthree,2\r\n', encoding="utf-8-sig")
        dataset = DatasetConfig(source="file", path=str(path), column="text")
        assert read_texts(dataset, 2, 0).rows == [("file", "one,\ntwo"), ("file", "three")]

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(source="file", path=str(tmp_path / "no.jsonl"), column="text"), 1)
        assert "no.jsonl does not exist" in said(error)

    def test_an_ending_that_is_not_known(self, tmp_path: Path) -> None:
        (tmp_path / "p.txt").write_text("hello")
        with pytest.raises(PromptError, match=r"p\.txt should end in \.jsonl, \.csv"):
            check_dataset(DatasetConfig(source="file", path=str(tmp_path / "p.txt"), column="text"), 1)

    @pytest.mark.parametrize("ending", ["jsonl", "csv"])
    def test_a_missing_column_names_those_there_are(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"p.{ending}"
        path.write_text('{"id": 1, "prompt": "a"}\n' if ending == "jsonl" else "id,prompt\n1,a\n")
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(source="file", path=str(path), column="promt"), 1)
        assert "no column 'promt'; did you mean 'prompt'? (there are: id, prompt)" in said(error)

    @pytest.mark.parametrize(
        ("value", "what"), [("", "is empty"), ("  \n", "is empty"), (5, "a number"), (None, "null"), (["a"], "a list")]
    )
    def test_a_value_that_is_no_prompt_is_named_with_its_line(self, tmp_path: Path, value: Any, what: str) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "fine"}, {"text": value})
        with pytest.raises(PromptError) as error:
            check_dataset(dataset, 2)
        assert "line 2" in said(error)
        assert what in said(error)

    def test_an_empty_csv_field_is_named_with_its_line(self, tmp_path: Path) -> None:
        path = tmp_path / "p.csv"
        path.write_text('id,text\n1,"two\nlines"\n2,\n')
        with pytest.raises(PromptError, match="line 4: column 'text' is empty"):
            check_dataset(DatasetConfig(source="file", path=str(path), column="text"), 2)

    def test_rows_beyond_n_are_not_looked_at(self, tmp_path: Path) -> None:
        check_dataset(jsonl(tmp_path / "p.jsonl", {"text": "fine"}, {"text": ""}), 1)

    def test_fewer_rows_than_n(self, tmp_path: Path) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "a"}, {"text": "b"})
        with pytest.raises(PromptError) as error:
            check_dataset(dataset, 3)
        assert "3 prompts asked for" in said(error)
        assert "has 2 rows" in said(error)

    @pytest.mark.parametrize(
        ("name", "content", "what"),
        [
            ("p.jsonl", b'{"text": "a"}\n{"text": \n', "line 2 is not JSON"),
            ("p.jsonl", b'{"text": "a"}\n["b"]\n', "line 2 is a list, not a JSON object"),
            ("p.jsonl", b'{"text": "caf\xe9"}\n', "is not UTF-8 text"),
            ("p.csv", b"text,id\na,1\nb, or c,2\n", "line 3 has 3 fields where the header has 2"),
            ("p.csv", b'text,id\n"a,1\n', "line 2 is not CSV"),
            ("p.csv", b"text,text\na,b\n", "more than one column 'text'"),
            ("p.csv", b"", "no columns at all"),
        ],
    )
    def test_a_broken_file(self, tmp_path: Path, name: str, content: bytes, what: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PromptError) as error:
            check_dataset(DatasetConfig(source="file", path=str(tmp_path / name), column="text"), 2)
        assert what in said(error)


class TestSynthetic:
    def test_exactly_so_many_ordinary_tokens_and_no_template(self, chatty: PreTrainedTokenizerFast) -> None:
        made = build(DatasetConfig(source="synthetic", tokens=200), chatty, n=20)
        assert {len(prompt.input_ids) for prompt in made.prompts} == {200}
        used = {token for prompt in made.prompts for token in prompt.input_ids}
        assert used == set(range(256))  # 4000 draws meet all of them, and <s>, </s> and "joule" are 256..258
        assert {prompt.text for prompt in made.prompts} == {None}
        assert made.description["chat_template"] == "off"
        assert made.description["file_sha256"] is None

    def test_seeded(self, plain: PreTrainedTokenizerFast) -> None:
        dataset = DatasetConfig(source="synthetic", tokens=9)
        assert build(dataset, plain, seed=4) == build(dataset, plain, seed=4)
        assert build(dataset, plain, seed=4).digest != build(dataset, plain, seed=5).digest

    def test_more_than_fit(self, plain: PreTrainedTokenizerFast) -> None:
        with pytest.raises(PromptError) as error:
            build(DatasetConfig(source="synthetic", tokens=65), plain, most=64)
        assert "dataset.tokens: 65" in said(error)
        build(DatasetConfig(source="synthetic", tokens=64), plain, most=64)

    def test_can_be_checked_without_a_tokenizer(self) -> None:
        check_dataset(DatasetConfig(source="synthetic", tokens=64), 10)
        with pytest.raises(PromptError, match="have no texts"):
            read_texts(DatasetConfig(source="synthetic", tokens=64), 10, 0)


class TestTokenising:
    def test_plain_text_gets_the_special_tokens(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        (prompt,) = build(jsonl(tmp_path / "p.jsonl", {"text": "héllo"}), plain, n=1).prompts
        assert plain.decode(prompt.input_ids) == "<s>héllo"

    def test_the_chat_template_once_with_the_start_of_an_answer(
        self, tmp_path: Path, chatty: PreTrainedTokenizerFast
    ) -> None:
        made = build(jsonl(tmp_path / "p.jsonl", {"text": "hello"}), chatty, n=1)
        (prompt,) = made.prompts
        assert chatty.decode(prompt.input_ids) == "<s><user>hello</user><assistant>"
        assert all(type(token) is int for token in prompt.input_ids)
        assert prompt.text == "hello"
        assert made.description["chat_template"] == hashlib.sha256(CHAT.encode()).hexdigest()

    def test_the_chat_template_can_be_left_out(self, tmp_path: Path, chatty: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "hello"}).model_copy(update={"chat_template": False})
        made = build(dataset, chatty, n=1)
        assert chatty.decode(made.prompts[0].input_ids) == "<s>hello"
        assert made.description["chat_template"] == "off"

    def test_a_tokenizer_without_a_template_is_described_as_such(self, plain: PreTrainedTokenizerFast) -> None:
        assert build(DatasetConfig(), plain).description["chat_template"] is None

    def test_the_default_of_several_templates(self, tmp_path: Path) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "hello"})
        several = make_tokenizer({"default": CHAT, "tools": "{{ tools }}"})
        assert several.decode(build(dataset, several, n=1).prompts[0].input_ids).endswith("<assistant>")
        with pytest.raises(PromptError, match="no default"):
            build(dataset, make_tokenizer({"a": CHAT, "b": CHAT}), n=1)

    def test_a_template_that_fails(self, tmp_path: Path) -> None:
        refusing = make_tokenizer("{{ raise_exception('system first') }}")
        with pytest.raises(PromptError, match=r"chat template fails \(system first\)"):
            build(jsonl(tmp_path / "p.jsonl", {"text": "hello"}), refusing, n=1)

    @pytest.mark.parametrize("form", ["%d %b %Y", "%Y-%m-%d", "%B %-d, %Y", "%A"])
    def test_a_template_that_prints_the_date_prints_the_same_every_day(self, tmp_path: Path, form: str) -> None:
        dated = make_tokenizer(
            f"  {{% if strftime_now is defined %}}{{% set day = strftime_now('{form}') %}}{{% endif %}}\n"
            "[{{ day }}]\n{{ messages[0].content }}"
        )
        (prompt,) = build(jsonl(tmp_path / "p.jsonl", {"text": "hello"}), dated, n=1).prompts
        assert dated.decode(prompt.input_ids) == f"[{datetime(2025, 1, 1).strftime(form)}]\nhello"


class TestTruncation:
    def test_the_text_is_shortened_and_the_template_stays_whole(
        self, tmp_path: Path, chatty: PreTrainedTokenizerFast
    ) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "abcdefghij" * 10}, {"text": "short"})
        made = build(dataset, chatty, n=2, most=CHAT_TOKENS + 25)
        first, second = made.prompts
        assert chatty.decode(first.input_ids) == "<s><user>abcdefghijabcdefghijabcde</user><assistant>"
        assert first.text == "abcdefghijabcdefghijabcde"
        assert second.text == "short"
        assert made.description["truncated"] == 1
        assert made.description["input_tokens"] == {
            "min": CHAT_TOKENS + 5,
            "mean": CHAT_TOKENS + 15.0,
            "max": CHAT_TOKENS + 25,
        }

    def test_a_prompt_that_just_fits_is_left_alone(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "abcdefghi"})
        assert build(dataset, plain, n=1, most=10).description["truncated"] == 0
        cut = build(dataset, plain, n=1, most=9)
        assert (cut.prompts[0].text, cut.description["truncated"]) == ("abcdefgh", 1)

    def test_no_character_is_cut_in_two(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "日本語"})  # three bytes, so three tokens, a character
        for most in range(4, 10):
            (prompt,) = build(dataset, plain, n=1, most=most).prompts
            assert prompt.text == "日本語"[: (most - 1) // 3]
            assert plain.decode(prompt.input_ids) == f"<s>{prompt.text}"

    def test_the_cut_is_between_tokens(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "joule" * 9})  # one token each, five if cut
        for words in range(1, 9):
            assert build(dataset, plain, n=1, most=1 + words).prompts[0].text == "joule" * words

    def test_a_tokenizer_written_in_python(self, tmp_path: Path) -> None:
        made = build(jsonl(tmp_path / "p.jsonl", {"text": "hello"}), Letters(), n=1, most=3)
        assert (made.prompts[0].text, made.prompts[0].input_ids) == ("hel", [7, 4, 11])

    def test_a_template_that_leaves_no_room(self, tmp_path: Path, chatty: PreTrainedTokenizerFast) -> None:
        dataset = jsonl(tmp_path / "p.jsonl", {"text": "hello"})
        assert build(dataset, chatty, n=1, most=CHAT_TOKENS + 1).prompts[0].text == "h"
        with pytest.raises(PromptError) as error:
            build(dataset, chatty, n=1, most=CHAT_TOKENS)
        assert f"max_input_tokens: {CHAT_TOKENS} leaves no room" in said(error)

    def test_every_built_in_prompt_fits(self, chatty: PreTrainedTokenizerFast) -> None:
        made = build(DatasetConfig(), chatty, n=200, most=128)
        assert max(len(prompt.input_ids) for prompt in made.prompts) <= 128
        assert all(chatty.decode(prompt.input_ids).endswith("</user><assistant>") for prompt in made.prompts)
        assert 0 < made.description["truncated"] < 200


class TestDigests:
    def test_are_of_the_ids(self, plain: PreTrainedTokenizerFast) -> None:
        made = build(DatasetConfig(), plain, n=5)
        for prompt in made.prompts:
            assert prompt.digest == hashlib.sha256(",".join(map(str, prompt.input_ids)).encode()).hexdigest()
        assert made.digest == hashlib.sha256("".join(prompt.digest for prompt in made.prompts).encode()).hexdigest()

    def test_change_with_the_order_and_the_template(
        self, tmp_path: Path, plain: PreTrainedTokenizerFast, chatty: PreTrainedTokenizerFast
    ) -> None:
        forth = jsonl(tmp_path / "a.jsonl", {"text": "a"}, {"text": "b"})
        back = jsonl(tmp_path / "b.jsonl", {"text": "b"}, {"text": "a"})
        digests = [build(forth, plain, n=2), build(back, plain, n=2), build(forth, chatty, n=2)]
        assert len({made.digest for made in digests}) == 3

    def test_the_description_is_json(self, chatty: PreTrainedTokenizerFast) -> None:
        description = build(DatasetConfig(), chatty).description
        assert json.loads(json.dumps(description)) == description
        assert description["file_sha256"] == hashlib.sha256(BUILTIN.read_bytes()).hexdigest()


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
        with pytest.raises(PromptError, match=r"org/set/data/train\.parquet, row 3: column 'text' holds null"):
            read_texts(self.dataset(), 3, 0, lambda *_: table)
        with pytest.raises(PromptError, match=r"no column 'txt'; did you mean 'text'\? \(there are: id, text\)"):
            read_texts(self.dataset(column="txt"), 1, 0, lambda *_: table)
        with pytest.raises(PromptError, match="column 'id' holds a number"):
            read_texts(self.dataset(column="id"), 1, 0, lambda *_: table)
        (tmp_path / "broken").write_bytes(b"not parquet at all")
        with pytest.raises(PromptError, match="is not a Parquet file"):
            read_texts(self.dataset(), 1, 0, lambda *_: tmp_path / "broken")

    @pytest.mark.parametrize("path", ["../secret.jsonl", "/etc/secret.jsonl", "a/../../b.csv", "train.arrow"])
    def test_its_path_is_checked_without_a_network(self, path: str) -> None:
        check_dataset(self.dataset(), 10)
        with pytest.raises(PromptError, match=r"dataset\.path"):
            check_dataset(self.dataset(path), 10)
        with pytest.raises(PromptError, match=r"dataset\.path"):
            read_texts(self.dataset(path), 10, 0, lambda *_: pytest.fail("was fetched"))

    def fetch_in_a_process(self, hub: DatasetHub, cache: Path, dataset: DatasetConfig, **more: str) -> str:
        """What the default way of fetching gives: the texts, or the error. huggingface_hub reads its
        environment when it is imported."""
        program = (
            "import sys\n"
            "from llenergymeasure.config import DatasetConfig\n"
            "from llenergymeasure.measurement.prompts.datasets import read_texts\n"
            "from llenergymeasure.measurement.prompts.errors import PromptError\n"
            "try:\n"
            "    print([text for _, text in read_texts(DatasetConfig.model_validate_json(sys.argv[1]), 2, 0).rows])\n"
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
        assert refused.startswith("PromptError: p.jsonl of dataset org/set@aaaaaaaaaaaa is not in the local cache")
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
            ("p.jsonl", {"revision": "b" * 40}, "has no commit bbbbbbbb"),
            ("p.jsonl", {"name": "org/none"}, "there is no dataset org/none"),
        ],
    )
    def test_what_a_hub_does_not_have(
        self, hub: DatasetHub, tmp_path: Path, path: str, more: dict[str, str], what: str
    ) -> None:
        answer = self.fetch_in_a_process(hub, tmp_path, self.dataset(path, **more))
        assert answer.startswith("PromptError: ")
        assert what in answer
