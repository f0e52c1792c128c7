"""What an experiment loads from elsewhere: the model, its draft model and its adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llenergymeasure.config.settings.model_ref import ModelRef, parse_model_ref

# Role → the setting with its name, the setting with its revision.
ROLES: Mapping[str, tuple[str, str]] = {
    "model": ("model", "pytorch.revision"),
    "assistant": ("pytorch.assistant_model", "pytorch.assistant_revision"),
    "adapter": ("pytorch.adapter", "pytorch.adapter_revision"),
}


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
    def key(self) -> str:
        """Folder name of its snapshot, safe as a path."""
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
        value = value.get(part)
    return value
