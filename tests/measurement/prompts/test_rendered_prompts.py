"""What goes into a model: the text is in the rendered prompt, it encodes, and the model has a row for every id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from measurement.prompts.test_prompts import CHAT, build, jsonl, make_tokenizer, said
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.datasets import check_dataset
from llenergymeasure.measurement.prompts.prompts import PromptError, build_prompts, require_digest

# As templates of models that see images do: a plain text falls through.
PARTS = (
    "{% for m in messages %}{{ m.role }}:{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}"
    "{% endif %}{% endfor %}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)


def text_of(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    return str(tokenizer.decode(ids))


@pytest.mark.parametrize(
    ("template", "content", "rendered"),
    [
        (CHAT, "text", "<s><user> Hello </user><assistant>"),
        ("{{ messages[0].content | trim }}!", "text", "Hello!"),
        (PARTS, "parts", "user: Hello assistant:"),
        ("{{ messages[0].content[0].text }}?", "parts", " Hello ?"),
    ],
)
def test_the_text_is_handed_over_as_the_template_wants_it(
    tmp_path: Path, template: str, content: str, rendered: str
) -> None:
    tokenizer = make_tokenizer(template)
    made = build(jsonl(tmp_path / "a.jsonl", {"text": " Hello "}), tokenizer, n=1)
    assert text_of(tokenizer, made.prompts[0].input_ids) == rendered
    assert made.description["message_content"] == content


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("user\nassistant:", "does not print the text of a message"),
        ("{{ messages[0].role }}", "does not print the text of a message"),
        ("{{ 1 // 0 }}", "fails (integer division or modulo by zero)"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "fails (maximum recursion depth exceeded"),
    ],
)
def test_a_template_without_the_text_is_an_error(tmp_path: Path, template: str, what: str) -> None:
    # The text is a word that the template prints by itself.
    with pytest.raises(PromptError) as error:
        build(jsonl(tmp_path / "a.jsonl", {"text": "user"}), make_tokenizer(template), n=1)
    assert what in said(error)
    assert "set dataset.chat_template: false" in said(error)


def test_a_prompt_whose_text_a_template_drops_is_named(tmp_path: Path) -> None:
    template = "{{ messages[0].content if messages[0].content|length > 20 else 'too short' }}"
    data = jsonl(tmp_path / "a.jsonl", {"text": "A text of more than twenty letters"}, {"text": "brief"})
    with pytest.raises(PromptError, match=r"a\.jsonl, line 2: the model's chat template changes or drops the text"):
        build(data, make_tokenizer(template), n=2)


def test_half_a_character_is_one_line_with_file_and_row(tmp_path: Path) -> None:
    """As exports of chats hold them that were cut within an emoji."""
    path = tmp_path / "cut.jsonl"
    path.write_text('{"text": "fine"}\n{"text": "broken emoji \\ud83d here"}\n', encoding="utf-8")
    dataset = DatasetConfig(source="file", path=str(path), column="text")
    with pytest.raises(PromptError) as error:
        check_dataset(dataset, 2)
    assert said(error).startswith(f"{path}, line 2: column 'text' has half of a character at position 13 (\\ud83d")
    check_dataset(dataset, 1)


@pytest.mark.parametrize("template", [None, CHAT])
def test_text_of_which_the_tokenizer_knows_nothing(tmp_path: Path, template: str | None) -> None:
    words = Tokenizer(models.WordLevel(vocab={"<unk>": 0, "user": 1, "known": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    tokenizer.chat_template = template
    data = jsonl(tmp_path / "a.jsonl", {"text": "known"}, {"text": "北京"})
    with pytest.raises(PromptError) as error:
        build(data, tokenizer, n=2)
    assert "a.jsonl, line 2: the tokenizer knows none of its text, all of it becomes '<unk>'" in said(error)
    assert build(data, tokenizer, n=1).digest


def test_half_a_character_of_a_template_is_its_own(tmp_path: Path) -> None:
    template = "{{ '\\ud83d' }}{{ messages[0].content }}"
    with pytest.raises(PromptError) as error:
        build(jsonl(tmp_path / "a.jsonl", {"text": "user"}), make_tokenizer(template), n=1)
    assert "the model's chat template prints half of a character; set dataset.chat_template: false" in said(error)


def test_ids_that_the_model_has_no_row_for(tmp_path: Path) -> None:
    data, tokenizer = jsonl(tmp_path / "a.jsonl", {"text": "ab"}, {"text": "a joule"}), make_tokenizer()
    (joule,) = tokenizer.convert_tokens_to_ids(["joule"])
    given = {"n": 2, "max_input_tokens": 99, "tokenizer": tokenizer, "seed": 0}
    with pytest.raises(PromptError) as error:
        build_prompts(data, **given, embedding_rows=joule)  # type: ignore[arg-type]
    assert f"a.jsonl, line 2: its token 'joule' has the id {joule}, but the model's embedding has {joule} rows" in said(
        error
    )
    assert build_prompts(data, **given, embedding_rows=joule + 1) == build(data, tokenizer, n=2)  # type: ignore[arg-type]


def test_drawn_ids_are_those_that_the_model_knows() -> None:
    drawn = build_prompts(
        DatasetConfig(source="synthetic", tokens=400),
        n=2,
        max_input_tokens=400,
        tokenizer=make_tokenizer(),
        seed=0,
        embedding_rows=50,
    )
    assert {token for prompt in drawn.prompts for token in prompt.input_ids} <= set(range(50))


def test_prompts_that_are_not_those_that_were_checked(tmp_path: Path) -> None:
    made = build(jsonl(tmp_path / "a.jsonl", {"text": "ab"}), make_tokenizer(), n=1)
    require_digest(made, made.digest)
    require_digest(made, None)
    with pytest.raises(PromptError, match="are not those that were checked"):
        require_digest(made, "0" * 64)


def test_the_description_stays_json() -> None:
    description = build(DatasetConfig(), make_tokenizer(PARTS)).description
    assert json.loads(json.dumps(description)) == description
