"""A user's text in the model's chat template: which template, whether it prints the text, and on which date.

A chat template is a program out of a model's repository.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.measurement.prompts.errors import NotRendered, PromptError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATE_DATE = datetime(2025, 1, 1)
_DATE_CODES = ("-d", *"aAbBdHIjmMpSyY")

PROBE = "llenergymeasure probe 7f3a"
"""A text that no template contains."""

Write = Callable[[str], str]
"""A user's text -> the text of the whole prompt."""

_NO_TEMPLATE = "set dataset.chat_template: false"
# What Python raises in an expression of a template.
_RAISED_BY_TEMPLATES = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
_CONTENTS: dict[str, Callable[[str], Any]] = {
    "text": lambda text: text,
    "parts": lambda text: [{"type": "text", "text": text}],
}


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


def apply_template(tokenizer: PreTrainedTokenizerBase, template: str) -> tuple[Write, str]:
    """How a text becomes a prompt, and how the template wants a message's content: as `text`, or in `parts`.

    Templates of models that see images go through a list of parts, and print nothing of a plain text.
    """
    fill = _filler(tokenizer, template)
    first: NotRendered | None = None
    for content, wrap in _CONTENTS.items():
        try:
            if PROBE not in fill(wrap(PROBE)):
                continue
        except NotRendered as error:
            first = first or error
            continue

        def write(text: str, wrap: Callable[[str], Any] = wrap) -> str:
            rendered = fill(wrap(text))
            # Many templates strip the text.
            if text.strip() not in rendered:
                raise NotRendered(f"the model's chat template changes or drops the text; {_NO_TEMPLATE}")
            return rendered

        return write, content
    if first is not None:
        raise PromptError(str(first)) from first
    raise PromptError(f"the model's chat template does not print the text of a message; {_NO_TEMPLATE}")


def _filler(tokenizer: PreTrainedTokenizerBase, template: str) -> Callable[[Any], str]:
    """The content of one user message -> the rendered prompt."""
    from jinja2 import TemplateError

    dated = _dated(template)

    def fill(content: Any) -> str:
        try:
            rendered = str(
                tokenizer.apply_chat_template(
                    [{"role": "user", "content": content}],
                    chat_template=dated,
                    add_generation_prompt=True,
                    tokenize=False,
                )
            )
        except (TemplateError, *_RAISED_BY_TEMPLATES) as error:
            raise NotRendered(f"the model's chat template fails ({first_line(error)}); {_NO_TEMPLATE}") from error
        try:
            rendered.encode("utf-8")
        except UnicodeEncodeError as error:
            raise NotRendered(f"the model's chat template prints half of a character; {_NO_TEMPLATE}") from error
        return rendered

    return fill


def _dated(template: str) -> str:
    """The template with its clock stopped at TEMPLATE_DATE.

    transformers gives templates a function `strftime_now`, and takes only plain data from callers, so a macro of the
    same name is put in front. The line break after it is dropped when the template is rendered.
    """
    if "strftime_now" not in template:
        return template
    written = "".join(f"|replace('%{code}', '{TEMPLATE_DATE.strftime(f'%{code}')}')" for code in _DATE_CODES)
    return f"{{% macro strftime_now(format) %}}{{{{ format{written} }}}}{{% endmacro %}}\n{template}"
