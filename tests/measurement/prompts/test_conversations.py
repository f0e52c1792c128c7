"""Conversations: lists of messages that go through the chat template whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pytest
from measurement.prompts.small_tokenizers import CHAT, build, jsonl, make_tokenizer, said
from pyarrow import parquet
from transformers import PreTrainedTokenizerFast

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.datasets import check_dataset
from llenergymeasure.measurement.prompts.prompts import PromptError

ALTERNATE = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}[{{ m.content }}]{% endfor %}"
)
# As templates of models that reason: of earlier replies only what follows the thoughts.
REASONS = "{% for m in messages %}[{{ m.content.split('</think>')[-1].strip() }}]{% endfor %}"


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def reply(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def conversations(path: Path, *rows: Any) -> DatasetConfig:
    jsonl(path, *({"turns": row} for row in rows))
    return DatasetConfig(source="file", path=str(path), messages="turns")


THREE = [user("Hi"), reply("Hello."), user("Name a river")]


def test_all_turns_are_rendered_and_special_tokens_written_once(
    tmp_path: Path, chatty: PreTrainedTokenizerFast
) -> None:
    made = build(conversations(tmp_path / "a.jsonl", [user("Why?")], THREE), chatty, n=2)
    assert [chatty.decode(prompt.input_ids) for prompt in made.prompts] == [
        "<s><user>Why?</user><assistant>",
        "<s><user>Hi</user><assistant>Hello.</assistant><user>Name a river</user><assistant>",
    ]
    assert [prompt.text for prompt in made.prompts] == ["Why?", "Name a river"]
    assert made.description["messages"] == "turns"
    assert made.description["column"] is None


def test_they_are_what_the_library_makes_of_them(tmp_path: Path, chatty: PreTrainedTokenizerFast) -> None:
    (prompt,) = build(conversations(tmp_path / "a.jsonl", THREE), chatty, n=1).prompts
    assert prompt.input_ids == chatty.apply_chat_template(THREE, add_generation_prompt=True)["input_ids"]


def test_parquet_gives_the_same_without_the_fields_that_a_message_lacks(
    tmp_path: Path, chatty: PreTrainedTokenizerFast
) -> None:
    rows = [[{**user("Hi"), "name": "Ada"}, reply("Hello."), user("Name a river")]]
    parquet.write_table(pyarrow.table({"turns": rows}), tmp_path / "a.parquet")
    template = "{% for m in messages %}[{{ m.name if 'name' in m else '' }}:{{ m.content }}]{% endfor %}"
    tokenizer = make_tokenizer(template)
    dataset = DatasetConfig(source="file", path=str(tmp_path / "a.parquet"), messages="turns")
    assert tokenizer.decode(build(dataset, tokenizer, n=1).prompts[0].input_ids) == "[Ada:Hi][:Hello.][:Name a river]"
    assert build(dataset, chatty, n=1).digest == build(conversations(tmp_path / "a.jsonl", THREE), chatty, n=1).digest


def test_only_the_last_message_is_shortened(tmp_path: Path, chatty: PreTrainedTokenizerFast) -> None:
    data = conversations(tmp_path / "a.jsonl", [user("Hi"), reply("Hello."), user("abcdefgh")])
    whole = len(build(data, chatty, n=1).prompts[0].input_ids)
    made = build(data, chatty, n=1, most=whole - 3)
    assert chatty.decode(made.prompts[0].input_ids).endswith("</assistant><user>abcde</user><assistant>")
    assert made.description["truncated"] == 1
    with pytest.raises(PromptError) as error:
        build(data, chatty, n=1, most=whole - 8)
    assert f"line 1: max_input_tokens: {whole - 8} leaves no room for its last message" in said(error)
    assert f"take {whole - 8} tokens; raise it, or set dataset.max_tokens to skip such rows" in said(error)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("Hi", "contains text, not a list of messages with role and content"),
        ([], "has no messages"),
        (["Hi"], "message 1 is text, not an object with role and content"),
        ([{"from": "human", "value": "Hi"}], "message 1 has no 'role' (it has from, value)"),
        ([{"role": "user"}], "message 1 has no 'content' (it has role)"),
        ([{"role": "user", "content": None}], "message 1 has no 'content' (it has role)"),
        ([user([{"type": "text", "text": "Hi"}])], "message 1: 'content' contains a list, not text"),
        ([user("Hi"), reply(" \n"), user("x")], "message 2: 'content' is empty"),
        ([user("Hi"), {"role": "", "content": "x"}], "message 2: 'role' is empty"),
        ([user("Hi"), reply("Hello.")], "ends with a message of the role 'assistant'; a prompt ends with one of the"),
        ([user("Hi \ud83d")], "message 1: 'content' has half of a character at position 3 (\\ud83d"),
    ],
)
def test_a_value_that_is_no_conversation_is_named_with_its_line(tmp_path: Path, value: Any, what: str) -> None:
    data = conversations(tmp_path / "a.jsonl", THREE, value)
    with pytest.raises(PromptError) as error:
        check_dataset(data, 2)
    assert "a.jsonl, line 2: column 'turns'" in said(error)
    assert what in said(error)
    check_dataset(data, 1)


def test_a_column_of_conversations_points_to_the_other_key(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    conversations(path, THREE)
    with pytest.raises(PromptError, match=r"contains a list, not text; for a conversation, write dataset\.messages"):
        check_dataset(DatasetConfig(source="file", path=str(path), column="turns"), 1)


def test_what_a_template_refuses_is_said_with_the_row(tmp_path: Path) -> None:
    data = conversations(tmp_path / "a.jsonl", THREE, [user("Hi"), user("Name a river")])
    with pytest.raises(PromptError) as error:
        build(data, make_tokenizer(ALTERNATE), n=2)
    assert "a.jsonl, line 2: the model's chat template fails (Conversation roles must alternate)" in said(error)


def test_a_template_that_drops_an_earlier_turn_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PromptError) as error:
        build(conversations(tmp_path / "a.jsonl", THREE), make_tokenizer("{{ messages[-1].content }}"), n=1)
    assert "line 1: the model's chat template changes or drops the text of message 1 (user)" in said(error)


@pytest.mark.parametrize("last", ["Hi", "i"])
def test_a_dropped_turn_is_not_found_in_another_turn(tmp_path: Path, last: str) -> None:
    data = conversations(tmp_path / "a.jsonl", [user("Hi"), reply("Yes."), user(last)])
    (whole,) = build(data, make_tokenizer("{% for m in messages %}{{ m.content }}{% endfor %}"), n=1).prompts
    assert make_tokenizer().decode(whole.input_ids) == f"HiYes.{last}"
    with pytest.raises(PromptError, match=r"drops the text of message 3 \(user\)"):
        build(data, make_tokenizer("{% for m in messages[:2] %}{{ m.content }}{% endfor %}"), n=1)


def test_a_system_message_may_be_printed_after_the_others(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be."}, user("Be. Hi")]
    template = "{{ messages[-1].content }}/{% if messages[1] is defined %}{{ messages[0].content }}{% endif %}"
    (prompt,) = build(conversations(tmp_path / "a.jsonl", turns), make_tokenizer(template), n=1).prompts
    assert make_tokenizer().decode(prompt.input_ids) == "Be. Hi/Be."


def test_a_reply_of_thoughts_alone_has_no_text_to_print(tmp_path: Path) -> None:
    turns = [user("Hi"), reply("<think>Hm.</think>"), user("Name a river")]
    (prompt,) = build(conversations(tmp_path / "a.jsonl", turns), make_tokenizer(REASONS), n=1).prompts
    assert make_tokenizer().decode(prompt.input_ids) == "[Hi][][Name a river]"


def test_thoughts_of_earlier_replies_may_be_dropped_but_not_the_replies(tmp_path: Path) -> None:
    thought = [user("Hi"), reply("<think>Hm.</think>\n\nHello."), user("Name a river")]
    tokenizer = make_tokenizer(REASONS)
    (prompt,) = build(conversations(tmp_path / "a.jsonl", thought), tokenizer, n=1).prompts
    assert tokenizer.decode(prompt.input_ids) == "[Hi][Hello.][Name a river]"
    with pytest.raises(PromptError, match=r"drops the text of message 2 \(assistant\)"):
        build(
            conversations(tmp_path / "a.jsonl", thought),
            make_tokenizer(REASONS.replace("for m in messages", "for m in messages if m.role == 'user'")),
            n=1,
        )


def test_without_a_template_only_a_single_message_is_a_prompt(tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
    data = conversations(tmp_path / "a.jsonl", [user("Why?")], THREE)
    assert plain.decode(build(data, plain, n=1).prompts[0].input_ids) == "<s>Why?"
    for tokenizer, off in ((plain, {}), (make_tokenizer(CHAT), {"chat_template": False})):
        with pytest.raises(PromptError) as error:
            build(data.model_copy(update=off), tokenizer, n=2)
        assert "a.jsonl, line 2: it has 3 messages, and without a chat template nothing tells them apart" in said(error)
