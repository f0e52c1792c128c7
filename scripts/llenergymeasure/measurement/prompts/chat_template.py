"""Messages in the model's chat template: which template, whether it prints every text, and on which date.

A chat template is a program out of a model's repository.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.measurement.prompts.errors import NotRendered, PromptError
from llenergymeasure.measurement.prompts.sources.source import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATE_DATE = datetime(2025, 1, 1)
_DATE_CODES = ("-d", *"aAbBdHIjmMpSyY")

PROBE = "llenergymeasure probe 7f3a"
"""A text that no template contains."""
_SYSTEM_PROBE = "llenergymeasure system probe 91c4"

_NO_TEMPLATE = "set dataset.chat_template: false"
# What Python raises in an expression of a template.
_RAISED_BY_TEMPLATES = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
_CONTENTS: Mapping[str, Callable[[str], Any]] = {
    "text": lambda text: text,
    "parts": lambda text: [{"type": "text", "text": text}],
}
# Templates of models that reason print a reply's answer and drop what precedes it.
_THOUGHT_ENDS = "</think>"


def choose_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The template that will be applied; a tokenizer may hold several by name and then has to have a default."""
    if not tokenizer.chat_template:
        return None
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        raise PromptError(
            "the tokenizer has several chat templates and no default; set dataset.chat_template: false"
        ) from error


class ChatTemplate:
    """A model's template with the keywords of a study.

    content: how the template wants a message's content: as `text`, or in `parts`. Templates of models that see images
    go through a list of parts, and print nothing of a plain text.

    PromptError where it does not print the text of a user's message, or of the system prompt that a study has.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        template: str,
        keywords: Mapping[str, Any] | None = None,
        *,
        with_system: bool = False,
    ) -> None:
        self.source = template
        self.keywords = dict(keywords or {})
        self._tokenizer = tokenizer
        self._dated = _dated(template)
        self.content = self._wanted_content()
        if with_system:
            self._require_system()

    def write(self, messages: Sequence[Message], keywords: Mapping[str, Any] | None = None) -> str:
        """The text of the whole prompt. NotRendered where the template fails, or drops one of the texts.

        keywords: in place of the study's
        """
        advice = _advice(messages)
        rendered = self._fill(messages, self.content, self.keywords if keywords is None else keywords, advice)
        dropped = _first_dropped(messages, rendered)
        if dropped is not None:
            role = messages[dropped]["role"]
            which = "the text" if len(messages) == 1 else f"the text of message {dropped + 1} ({role})"
            raise NotRendered(f"the model's chat template changes or drops {which}; {advice}")
        return rendered

    def _wanted_content(self) -> str:
        first: NotRendered | None = None
        for content in _CONTENTS:
            try:
                if PROBE in self._fill([{"role": "user", "content": PROBE}], content, self.keywords, _NO_TEMPLATE):
                    return content
            except NotRendered as error:
                first = first or error
        if first is not None:
            raise PromptError(str(first)) from first
        raise PromptError(f"the model's chat template does not print the text of a message; {_NO_TEMPLATE}")

    def _require_system(self) -> None:
        messages = [{"role": "system", "content": _SYSTEM_PROBE}, {"role": "user", "content": PROBE}]
        remedy = "remove dataset.system_prompt, or write it into the prompts"
        try:
            rendered = self._fill(messages, self.content, self.keywords, remedy)
        except NotRendered as error:
            raise PromptError(f"dataset.system_prompt: {error}") from error
        if _SYSTEM_PROBE not in rendered:
            raise PromptError(
                f"dataset.system_prompt: the model's chat template does not print a system message; {remedy}"
            )

    def _fill(self, messages: Sequence[Message], content: str, keywords: Mapping[str, Any], advice: str) -> str:
        from jinja2 import TemplateError

        wrap = _CONTENTS[content]
        try:
            rendered = str(
                self._tokenizer.apply_chat_template(
                    [{**message, "content": wrap(message["content"])} for message in messages],
                    chat_template=self._dated,
                    add_generation_prompt=True,
                    tokenize=False,
                    **keywords,
                )
            )
        except (TemplateError, *_RAISED_BY_TEMPLATES) as error:
            raise NotRendered(f"the model's chat template fails ({first_line(error)}); {advice}") from error
        try:
            rendered.encode("utf-8")
        except UnicodeEncodeError as error:
            raise NotRendered(f"the model's chat template prints half of a character; {advice}") from error
        return rendered


def _advice(messages: Sequence[Message]) -> str:
    return _NO_TEMPLATE if len(messages) == 1 else "change the messages, or use another model"


def _first_dropped(messages: Sequence[Message], rendered: str) -> int | None:
    """The first message that is not printed. Each has a place of its own: a long text may contain a short one, and a
    template may move a system message."""
    texts = [_printed_text(message, rendered) for message in messages]
    dropped = []
    for number in sorted(range(len(texts)), key=lambda number: -len(texts[number])):
        if texts[number] not in rendered:
            dropped.append(number)
        elif texts[number]:
            rendered = rendered.replace(texts[number], "\0", 1)
    return min(dropped, default=None)


def _printed_text(message: Message, rendered: str) -> str:
    """What a template prints of a message. Many templates strip the text."""
    text: str = message["content"].strip()
    if message["role"] != "user" and _THOUGHT_ENDS in text and text not in rendered:
        return text.rpartition(_THOUGHT_ENDS)[2].strip()
    return text


def _dated(template: str) -> str:
    """The template with its clock stopped at TEMPLATE_DATE.

    transformers gives templates a function `strftime_now`, and takes only plain data from callers, so a macro of the
    same name is put in front. The line break after it is dropped when the template is rendered.
    """
    if "strftime_now" not in template:
        return template
    written = "".join(f"|replace('%{code}', '{TEMPLATE_DATE.strftime(f'%{code}')}')" for code in _DATE_CODES)
    return f"{{% macro strftime_now(format) %}}{{{{ format{written} }}}}{{% endmacro %}}\n{template}"
