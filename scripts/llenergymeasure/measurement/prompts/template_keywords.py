"""Keywords for a chat template: refused unless the template reads them and they change a prompt.

transformers hands every keyword over, and a template ignores those that it does not read without a word.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llenergymeasure.config.problems.text import first_line, nearest, show
from llenergymeasure.measurement.prompts.chat_template import PROBE, ChatTemplate
from llenergymeasure.measurement.prompts.errors import NotRendered, PromptError
from llenergymeasure.measurement.prompts.sources.source import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Prompts = Callable[[], Iterable[Sequence[Message]]]

KEY = "dataset.chat_template_kwargs"
# Arguments of apply_chat_template that go to the template like keywords.
_FOR_TEMPLATES = {"tools", "documents"}
# transformers' own tag, which Jinja does not know.
_GENERATION_TAG = re.compile(r"{%-?\s*(end)?generation\s*-?%}")
# What transformers gives every template.
_ALWAYS_GIVEN = {"messages", "add_generation_prompt", "raise_exception", "strftime_now"}


def require_names(tokenizer: PreTrainedTokenizerBase, template: str, keywords: Collection[str]) -> None:
    """PromptError for a keyword that the measurement itself sets, or that the template never reads."""
    if not keywords:
        return
    reserved = {*inspect.signature(tokenizer.apply_chat_template).parameters, "messages"} - _FOR_TEMPLATES
    read = variables(template)
    for name in keywords:
        if name in reserved:
            raise PromptError(f"{KEY}.{name}: is an argument of apply_chat_template that is set already; remove it")
        if name not in read:
            others = sorted(read - _ALWAYS_GIVEN - {*tokenizer.special_tokens_map})
            near = nearest(name, others)
            meant = f"; did you mean {near}?" if near else ""
            raise PromptError(
                f"{KEY}.{name}: the model's chat template does not read it{meant} (it reads "
                f"{', '.join(others) if others else 'no keywords'})"
            )


def variables(template: str) -> set[str]:
    """The names that a template takes from its caller. PromptError where it is no template."""
    from jinja2 import Environment, TemplateError, meta

    environment = Environment(extensions=["jinja2.ext.loopcontrols"])
    try:
        names = meta.find_undeclared_variables(environment.parse(_GENERATION_TAG.sub("", template)))
    except TemplateError as error:
        raise PromptError(f"{KEY}: the model's chat template cannot be read ({first_line(error)})") from error
    return names - {*environment.globals}


def changed_prompts(template: ChatTemplate, prompts: Prompts) -> dict[str, int]:
    """Keyword → how many of the prompts have another text with it than without.

    prompts: gives the messages of each, as often as it is called

    Zero where the study writes out what the template does anyway; PromptError for a value that has no effect because
    the template does not know it.
    """
    changed = {}
    for name, value in template.keywords.items():
        others = {key: given for key, given in template.keywords.items() if key != name}
        changed[name] = sum(_differs(template, messages, others) for messages in prompts())
        if not changed[name] and not _is_live(template, prompts, name):
            raise PromptError(
                f"{KEY}.{name}: {show(value)} changes no prompt, and neither does another value of its kind; correct "
                "the value (true and false are written without quotes), or remove it"
            )
    return changed


def _is_live(template: ChatTemplate, prompts: Prompts, name: str) -> bool:
    """Whether another value of the same kind changes a prompt: then this value is the template's own."""
    other = _another(template.keywords[name])
    return any(_differs(template, messages, {**template.keywords, name: other}) for messages in prompts())


def _another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return PROBE if isinstance(value, str) else None


def _differs(template: ChatTemplate, messages: Sequence[Message], keywords: Mapping[str, Any]) -> bool:
    rendered = template.write(messages)
    try:
        return template.write(messages, keywords) != rendered
    except NotRendered:
        return True
