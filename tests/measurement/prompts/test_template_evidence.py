"""The system prompt and the keywords of a chat template: refused where they have no effect, and seen where they do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from measurement.prompts.small_tokenizers import CHAT, build, jsonl, make_tokenizer, said
from transformers import PreTrainedTokenizerFast

from llenergymeasure.config import DatasetConfig
from llenergymeasure.engine.evidence import PROBES, Observation, ProbeResult
from llenergymeasure.engine.generation.generation import Instrumented
from llenergymeasure.measurement.prompts.prompts import PromptError, PromptSet

THINKS = CHAT.replace(
    "<assistant>{% endif %}",
    "<assistant>{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}{% endif %}",
)
# Its default is written in the template; a text that it does not know is printed as it is.
EFFORT = "{% if effort is not defined %}{% set effort = 'medium' %}{% endif %}({{ effort }}){{ messages[0].content }}"
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHAT
DROPS_SYSTEM = CHAT.replace("for m in messages", "for m in messages if m.role != 'system'")


def texts(path: Path, **more: Any) -> DatasetConfig:
    return jsonl(path, {"text": "Why?"}, {"text": "How?"}).model_copy(update=more)


def decoded(tokenizer: PreTrainedTokenizerFast, made: PromptSet) -> list[str]:
    return [str(tokenizer.decode(prompt.input_ids)) for prompt in made.prompts]


def probed(path: str, tokenizer: PreTrainedTokenizerFast, made: PromptSet, requested: Any) -> ProbeResult:
    generated = Instrumented(prompt_ids=[prompt.input_ids for prompt in made.prompts])
    loaded: Any = SimpleNamespace(tokenizer=tokenizer, storage_at_load=())
    observation = Observation(loaded=loaded, generated=generated, changed_prompts=made.changed_prompts)
    return PROBES[path](observation, requested)


class TestTheSystemPrompt:
    def test_precedes_every_prompt_and_is_in_record_and_digest(
        self, tmp_path: Path, chatty: PreTrainedTokenizerFast
    ) -> None:
        plain = build(texts(tmp_path / "a.jsonl"), chatty, n=2)
        made = build(texts(tmp_path / "a.jsonl", system_prompt="Be brief."), chatty, n=2)
        assert decoded(chatty, made)[1] == "<s><system>Be brief.</system><user>How?</user><assistant>"
        assert (plain.description["system_prompt"], made.description["system_prompt"]) == (None, "Be brief.")
        assert plain.digest != made.digest
        assert probed("system_prompt", chatty, made, "Be brief.").agrees is True
        lost = probed("system_prompt", chatty, plain, "Be brief.")
        assert (lost.agrees, lost.effective) == (False, None)
        assert "the text is in 0 of 2 prompts" in lost.observed
        assert probed("system_prompt", chatty, plain, None).agrees is True

    @pytest.mark.parametrize(
        ("template", "what"),
        [
            (None, "dataset.system_prompt: needs a chat template, and the model's tokenizer has none"),
            (NO_SYSTEM, "dataset.system_prompt: the model's chat template fails (System role not supported); remove"),
            (DROPS_SYSTEM, "dataset.system_prompt: the model's chat template does not print a system message; remove"),
        ],
    )
    def test_is_refused_where_it_would_be_lost(self, tmp_path: Path, template: str | None, what: str) -> None:
        with pytest.raises(PromptError) as error:
            build(texts(tmp_path / "a.jsonl", system_prompt="Be brief."), make_tokenizer(template), n=2)
        assert what in said(error)

    def test_of_the_study_and_of_a_row_do_not_mix(self, tmp_path: Path, chatty: PreTrainedTokenizerFast) -> None:
        row = [{"role": "system", "content": "Be long."}, {"role": "user", "content": "Why?"}]
        jsonl(tmp_path / "a.jsonl", {"turns": row})
        data = DatasetConfig(source="file", path=str(tmp_path / "a.jsonl"), messages="turns")
        assert decoded(chatty, build(data, chatty, n=1)) == ["<s><system>Be long.</system><user>Why?</user><assistant>"]
        with pytest.raises(PromptError, match=r"line 1: column 'turns' has a system message of its own; remove"):
            build(data.model_copy(update={"system_prompt": "Be brief."}), chatty, n=1)

    def test_of_the_built_in_prompts(self, chatty: PreTrainedTokenizerFast) -> None:
        made = build(DatasetConfig(system_prompt="Be brief."), chatty, n=3)
        assert all(text.startswith("<s><system>Be brief.</system><user>") for text in decoded(chatty, made))


class TestKeywords:
    def test_reach_the_template_and_are_in_record_and_digest(self, tmp_path: Path) -> None:
        tokenizer = make_tokenizer(THINKS)
        plain = build(texts(tmp_path / "a.jsonl"), tokenizer, n=2)
        asked = {"enable_thinking": False}
        made = build(texts(tmp_path / "a.jsonl", chat_template_kwargs=asked), tokenizer, n=2)
        assert decoded(tokenizer, made)[0] == "<s><user>Why?</user><assistant><think></think>"
        assert made.description["chat_template_kwargs"] == asked
        assert plain.description["chat_template_kwargs"] is None
        assert made.digest != plain.digest
        seen = probed("chat_template_kwargs", tokenizer, made, asked)
        assert (seen.agrees, seen.effective, seen.observed) == (True, asked, "enable_thinking changes 2 prompts")
        lost = probed("chat_template_kwargs", tokenizer, plain, asked)
        assert (lost.agrees, lost.effective) == (False, {})

    @pytest.mark.parametrize(
        ("template", "keywords"),
        [(THINKS, {"enable_thinking": True}), (EFFORT, {"effort": "medium"})],
    )
    def test_the_templates_own_value_is_accepted_as_such(
        self, tmp_path: Path, template: str, keywords: dict[str, Any]
    ) -> None:
        tokenizer = make_tokenizer(template)
        made = build(texts(tmp_path / "a.jsonl", chat_template_kwargs=keywords), tokenizer, n=2)
        assert made.digest == build(texts(tmp_path / "a.jsonl"), tokenizer, n=2).digest
        seen = probed("chat_template_kwargs", tokenizer, made, keywords)
        assert (seen.agrees, seen.effective) == (True, keywords)
        assert seen.observed == f"{next(iter(keywords))} is what the template does by itself"

    @pytest.mark.parametrize(
        ("keywords", "what"),
        [
            (
                {"enable_thinkin": False},
                "enable_thinkin: the model's chat template does not read it; did you mean enable_thinking? (it reads "
                "enable_thinking)",
            ),
            ({"enable_thinking": "false"}, 'enable_thinking: "false" changes no prompt, and neither does another'),
            ({"enable_thinking": False, "m": 1}, "m: the model's chat template does not read it"),
            ({"tokenize": True}, "tokenize: is an argument of apply_chat_template that is set already"),
            ({"messages": []}, "messages: is an argument of apply_chat_template that is set already"),
        ],
    )
    def test_one_without_effect_is_refused(self, tmp_path: Path, keywords: dict[str, Any], what: str) -> None:
        with pytest.raises(PromptError) as error:
            build(texts(tmp_path / "a.jsonl", chat_template_kwargs=keywords), make_tokenizer(THINKS), n=2)
        assert f"dataset.chat_template_kwargs.{what}" in said(error)

    def test_need_a_template(self, tmp_path: Path, plain: PreTrainedTokenizerFast) -> None:
        with pytest.raises(PromptError, match=r"dataset\.chat_template_kwargs: needs a chat template"):
            build(texts(tmp_path / "a.jsonl", chat_template_kwargs={"a": 1}), plain, n=1)

    def test_a_broken_template_is_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(
            PromptError, match=r"chat_template_kwargs: the model's chat template cannot be read \("
        ) as error:
            build(texts(tmp_path / "a.jsonl", chat_template_kwargs={"a": 1}), make_tokenizer("{% if %}"), n=1)
        assert said(error)

    def test_tools_are_for_the_template(self, tmp_path: Path) -> None:
        tokenizer = make_tokenizer("{{ tools | length if tools else 0 }}{{ messages[0].content }}")
        made = build(texts(tmp_path / "a.jsonl", chat_template_kwargs={"tools": [{"name": "f"}]}), tokenizer, n=1)
        assert decoded(tokenizer, made) == ["1Why?"]
        assert made.changed_prompts == {"tools": 1}

    def test_the_librarys_own_tag_is_no_obstacle(self, tmp_path: Path) -> None:
        template = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}{{ sign }}"
        tokenizer = make_tokenizer(template)
        made = build(texts(tmp_path / "a.jsonl", chat_template_kwargs={"sign": "!"}), tokenizer, n=1)
        assert decoded(tokenizer, made) == ["Why?!"]
