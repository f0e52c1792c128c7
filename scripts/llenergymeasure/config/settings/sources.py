"""What an experiment loads from elsewhere: the model, its draft model and its adapter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llenergymeasure.config.settings.model_ref import COMMIT, ModelRef, parse_model_ref

# Role → the setting with its name, the setting with its revision.
ROLES: Mapping[str, tuple[str, str]] = {
    "model": ("model", "pytorch.revision"),
    "assistant": ("pytorch.assistant_model", "pytorch.assistant_revision"),
    "adapter": ("pytorch.adapter", "pytorch.adapter_revision"),
}


# org/name@branch, @tag, @commit or @refs/pr/1
_WITH_REVISION = re.compile(r"([^/@:\s]+/[^/@:\s]+)@([A-Za-z0-9][A-Za-z0-9._/-]*)")


def split_revisions(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same nested settings, where `org/name@revision` is the name, and the revision is in its own setting.

    A name stays as it is where that setting already has another revision: then it is not a model's name.
    """
    for name, revision in ROLES.values():
        text = _at(settings, name)
        match = _WITH_REVISION.fullmatch(text) if isinstance(text, str) else None
        if match is not None and _at(settings, revision) in (None, match[2]):
            settings = _with(_with(settings, name, match[1]), revision, match[2])
    return settings


@dataclass(frozen=True)
class SourceIntent:
    """One source: its role, its name, and its revision as written or pinned."""

    role: str
    name: str
    revision: str | None

    @property
    def ref(self) -> ModelRef:
        return parse_model_ref(self.name)

    @property
    def is_pinned(self) -> bool:
        """Whether its files are known for certain: a hub model's only at a commit."""
        return self.ref.kind != "hub" or COMMIT.fullmatch(self.revision or "") is not None

    @property
    def key(self) -> str:
        """Folder name of its snapshot, safe as a path. ValueError where it is not pinned."""
        return self.ref.key(self.revision)


def sources_from_intent(intent: Mapping[str, Any]) -> list[SourceIntent]:
    """The sources in an experiment's nested settings (`ExperimentSettings.model_dump()`, plan.json)."""
    return [
        SourceIntent(role, _at(intent, name), _at(intent, revision))
        for role, (name, revision) in ROLES.items()
        if _at(intent, name) is not None
    ]


def _at(intent: Mapping[str, Any], path: str) -> Any:
    value: Any = intent
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
    return value


def _with(settings: Mapping[str, Any], path: str, value: Any) -> Mapping[str, Any]:
    """A copy with that value at a path of one or two parts. A section may be a mapping or already a model."""
    section, _, key = path.rpartition(".")
    if not section:
        return {**settings, key: value}
    whole = settings.get(section) or {}
    changed = {**whole, key: value} if isinstance(whole, Mapping) else whole.model_copy(update={key: value})
    return {**settings, section: changed}
