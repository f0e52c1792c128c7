"""Where the prompts come from: the keys that each source needs and reads, and which of them fit together."""

from __future__ import annotations

from collections.abc import Mapping

from llenergymeasure.config.problems.text import show
from llenergymeasure.config.rules.relations import Values, rule, rules_among
from llenergymeasure.config.settings.model_ref import safe_relative_path

# Where a source needs one of several keys, they stand together.
_NEEDED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "builtin": (),
    "file": (("path",), ("column", "messages")),
    "synthetic": (("tokens",),),
    "hub": (("name",), ("split", "path"), ("column", "messages")),
}
_OF_TEXTS = ("min_tokens", "max_tokens", "system_prompt", "chat_template_kwargs")
_OF_ROWS = ("path", "column", "messages", "sample_seed", *_OF_TEXTS)
_READ: Mapping[str, tuple[str, ...]] = {
    "builtin": ("kinds", *_OF_TEXTS),
    "file": _OF_ROWS,
    "synthetic": ("tokens",),
    "hub": ("name", "revision", "config", "split", *_OF_ROWS),
}
_KEYS = tuple(dict.fromkeys(key for keys in _READ.values() for key in keys))
_NEED_TEMPLATE = ("system_prompt", "chat_template_kwargs")


@rule(
    "dataset-key-missing",
    "error",
    "dataset.source",
    *(f"dataset.{name}" for name in dict.fromkeys(key for keys in _NEEDED.values() for group in keys for key in group)),
    says="a dataset source without the keys that it needs (file: path, column or messages; synthetic: tokens; "
    "hub: name, split or path, column or messages)",
    fix="add them under dataset",
)
def dataset_missing(value: Values) -> str | None:
    source = value.given("dataset.source")
    missing = [
        " or ".join(names) for names in _NEEDED[source] if all(value.given(f"dataset.{name}") is None for name in names)
    ]
    return f"{show(source)} needs {' and '.join(missing)}" if missing else None


@rule(
    "dataset-key-unused",
    "error",
    "dataset.source",
    *(f"dataset.{name}" for name in (*_KEYS, "chat_template")),
    says="a dataset key that the source does not read",
    fix="remove the key or change dataset.source",
)
def dataset_unused(value: Values) -> str | None:
    source = value.given("dataset.source")
    unused = [name for name in _KEYS if name not in _READ[source] and value.given(f"dataset.{name}") is not None]
    return f"{show(source)} does not read {' and '.join(unused)}" if unused else None


@rule(
    "dataset-text-or-messages",
    "error",
    "dataset.messages",
    "dataset.column",
    says="both `dataset.column` and `dataset.messages`: a prompt is a text or a conversation",
    fix="keep one of the two",
)
def text_or_messages(value: Values) -> str | None:
    column = value.given("dataset.column")
    return None if column is None else f"clashes with column: {show(column)}"


@rule(
    "dataset-split-or-path",
    "error",
    "dataset.split",
    "dataset.path",
    says="both `dataset.split` and `dataset.path`: a split has files of its own",
    fix="keep one of the two",
)
def split_or_path(value: Values) -> str | None:
    path = value.given("dataset.path")
    return None if path is None else f"clashes with path: {show(path)}"


@rule(
    "dataset-config-needs-split",
    "error",
    "dataset.config",
    "dataset.split",
    says="`dataset.config` without `dataset.split`",
    fix="add dataset.split, for example train",
)
def config_needs_split(value: Values) -> str | None:
    return None if value.given("dataset.split") is not None else "needs split"


@rule(
    "dataset-path-several",
    "error",
    "dataset.path",
    "dataset.source",
    says="a list of paths for a source that reads one file",
    fix="name one file",
)
def one_file(value: Values) -> str | None:
    source, path = value.given("dataset.source"), value.given("dataset.path")
    return f"is a list; {show(source)} reads one file" if isinstance(path, list) and source != "hub" else None


@rule(
    "dataset-path-outside",
    "error",
    "dataset.path",
    "dataset.source",
    says="a `dataset.path` that leads out of the data set's repository",
    fix="write the path as the data set's page on the hub shows it",
)
def path_inside(value: Values) -> str | None:
    if value.given("dataset.source") != "hub":
        return None
    path = value.given("dataset.path")
    outside = [one for one in ([path] if isinstance(path, str) else path) if not safe_relative_path(one)]
    return f"{show(outside[0])} is not a path inside the data set's repository" if outside else None


@rule(
    "dataset-needs-template",
    "error",
    "dataset.source",
    "dataset.chat_template",
    *(f"dataset.{name}" for name in _NEED_TEMPLATE),
    says="`system_prompt` or `chat_template_kwargs` with `dataset.chat_template: false`",
    fix="remove chat_template: false, or the other key",
)
def needs_template(value: Values) -> str | None:
    if value.given("dataset.chat_template") is not False:
        return None
    unread = [name for name in _NEED_TEMPLATE if value.given(f"dataset.{name}") is not None]
    return f"chat_template: false leaves {' and '.join(unread)} without a template" if unread else None


@rule(
    "dataset-lengths",
    "error",
    "dataset.min_tokens",
    "dataset.max_tokens",
    says="`dataset.min_tokens` above `dataset.max_tokens`: no prompt has such a length",
    fix="lower min_tokens or raise max_tokens",
)
def lengths(value: Values) -> str | None:
    least, most = value.given("dataset.min_tokens"), value.given("dataset.max_tokens")
    return f"{least} is more than max_tokens: {most}" if most is not None and least > most else None


@rule(
    "min-tokens-longer-than-input",
    "error",
    "dataset.min_tokens",
    "max_input_tokens",
    says="`dataset.min_tokens` above `max_input_tokens`: every prompt would be truncated below it",
    fix="raise max_input_tokens or lower dataset.min_tokens",
)
def least_length(value: Values) -> str | None:
    least, most = value.given("dataset.min_tokens"), value.given("max_input_tokens")
    return f"{least} is more than max_input_tokens: {most}" if least > most else None


@rule(
    "synthetic-longer-than-input",
    "error",
    "dataset.tokens",
    "max_input_tokens",
    says="`dataset.tokens` above `max_input_tokens`: the prompts would be truncated",
    fix="raise max_input_tokens or lower dataset.tokens",
)
def synthetic_length(value: Values) -> str | None:
    tokens, most = value.given("dataset.tokens"), value.given("max_input_tokens")
    return f"{tokens} is more than max_input_tokens: {most}" if tokens > most else None


RULES = rules_among(globals())
