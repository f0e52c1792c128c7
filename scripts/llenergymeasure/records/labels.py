"""Short names of configurations: only the settings in which they differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from llenergymeasure.records.study.plan import Plan

Part = tuple[str, str]


def configuration_parts(plan: Plan) -> dict[str, list[Part]]:
    """experiment_id → (setting, value) pairs of the matrix paths that are not the same everywhere.

    A setting is named by the last part of its path where that is unambiguous. A value of None is the library's
    default and is omitted. A configuration whose name would be empty or that of another one gets its id.
    """
    return _parts(plan.axes, {name: entry.axes for name, entry in plan.experiments.items()})


def labels(paths: Sequence[str], axes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """experiment_id → its name, from the matrix paths and each experiment's values."""
    return {name: as_text(parts) for name, parts in _parts(paths, axes).items()}


def _parts(paths: Sequence[str], axes: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Part]]:
    differing = [path for path in paths if len({repr(values.get(path)) for values in axes.values()}) > 1]
    names = _short_names(differing)
    parts = {
        name: [(names[path], value_label(values[path])) for path in differing if values.get(path) is not None]
        for name, values in axes.items()
    }
    uses = Counter(tuple(value) for value in parts.values())
    for name, value in parts.items():
        if uses[tuple(value)] > 1:
            value.append(("id", name))
        elif not value:
            value.append(("", "library defaults" if len(parts) > 1 else name))
    return parts


def setup_parts(plan: Plan) -> dict[str, list[Part]]:
    """setup_id → the pairs on which all experiments of a setup agree."""
    parts = configuration_parts(plan)
    members: dict[str, list[list[Part]]] = {}
    for name, entry in plan.experiments.items():
        members.setdefault(entry.setup_id, []).append(parts[name])
    return {
        setup_id: [part for part in lists[0] if all(part in other for other in lists) and part[0] not in ("", "id")]
        or [("", "library defaults" if len(members) > 1 else "all experiments")]
        for setup_id, lists in members.items()
    }


def value_label(value: Any) -> str:
    """A setting's value as a study file writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_text(parts: list[Part]) -> str:
    """`attn_implementation=eager batch_size=4`."""
    return " ".join(f"{name}={value}" if name else value for name, value in parts)


def _short_names(paths: list[str]) -> dict[str, str]:
    last = Counter(path.rsplit(".", 1)[-1] for path in paths)
    return {path: path if last[path.rsplit(".", 1)[-1]] > 1 else path.rsplit(".", 1)[-1] for path in paths}
