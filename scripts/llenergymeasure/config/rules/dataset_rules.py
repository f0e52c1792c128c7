"""Where the prompts come from: the keys that each source needs and reads."""

from __future__ import annotations

from llenergymeasure.config.problems.text import show
from llenergymeasure.config.rules.relations import Values, rule, rules_among

_DATASET_KEYS = {
    "builtin": ((), ("kinds", "chat_template")),
    "file": (("path", "column"), ("path", "column", "chat_template")),
    "synthetic": (("tokens",), ("tokens",)),
    "hub": (("name", "revision", "path", "column"), ("name", "revision", "path", "column", "chat_template")),
}


@rule(
    "dataset-key-missing",
    "error",
    "dataset.source",
    *(f"dataset.{name}" for name in ("path", "column", "tokens", "name", "revision")),
    says="a dataset source without the keys that it needs (file: path, column; synthetic: tokens; "
    "hub: name, revision, path, column)",
    fix="add them under dataset",
)
def dataset_missing(value: Values) -> str | None:
    source = value.given("dataset.source")
    missing = [name for name in _DATASET_KEYS[source][0] if value.given(f"dataset.{name}") is None]
    return f"{show(source)} needs {' and '.join(missing)}" if missing else None


@rule(
    "dataset-key-unused",
    "error",
    "dataset.source",
    *(f"dataset.{name}" for name in ("path", "column", "tokens", "name", "revision", "kinds", "chat_template")),
    says="a dataset key that the source does not read",
    fix="remove the key or change dataset.source",
)
def dataset_unused(value: Values) -> str | None:
    source = value.given("dataset.source")
    names = ("path", "column", "tokens", "name", "revision", "kinds")
    unused = [
        name for name in names if name not in _DATASET_KEYS[source][1] and value.given(f"dataset.{name}") is not None
    ]
    return f"{show(source)} does not read {' and '.join(unused)}" if unused else None


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
