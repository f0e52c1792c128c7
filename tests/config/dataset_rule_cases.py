"""For each rule about the prompts, settings that break it and near ones that do not."""

from __future__ import annotations

from typing import Any

ROWS = {"dataset.source": "file", "dataset.path": "a.csv", "dataset.column": "text"}
HUB = {"dataset.source": "hub", "dataset.name": "org/set", "dataset.split": "train", "dataset.column": "text"}

# rule id, settings that break it, settings next to them that don't
DATASET_CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "dataset-key-missing",
        {"dataset.source": "file", "dataset.path": "a.csv"},
        {"dataset.source": "file", "dataset.path": "a.csv", "dataset.column": "text"},
    ),
    ("dataset-key-unused", {"dataset.path": "a.csv"}, {"dataset.kinds": ["question"]}),
    ("dataset-key-missing", {**HUB, "dataset.name": None}, HUB),
    ("dataset-key-missing", {**HUB, "dataset.split": None}, {**HUB, "dataset.split": None, "dataset.path": "a.csv"}),
    ("dataset-key-unused", {"dataset.sample_seed": 1}, {**ROWS, "dataset.sample_seed": 1}),
    ("dataset-text-or-messages", {**ROWS, "dataset.messages": "turns"}, ROWS),
    ("dataset-split-or-path", {**HUB, "dataset.path": "a.csv"}, HUB),
    (
        "dataset-config-needs-split",
        {**HUB, "dataset.split": None, "dataset.path": "a.csv", "dataset.config": "en"},
        {**HUB, "dataset.config": "en"},
    ),
    (
        "dataset-path-several",
        {**ROWS, "dataset.path": ["a.csv", "b.csv"]},
        {**HUB, "dataset.split": None, "dataset.path": ["a.csv", "b.csv"]},
    ),
    *(
        ("dataset-path-outside", {**HUB, "dataset.split": None, "dataset.path": path}, {**ROWS, "dataset.path": path})
        for path in ("../secret.jsonl", "/etc/secret.jsonl", "a/../../b.csv")
    ),
    *(
        (
            "dataset-needs-template",
            {**ROWS, "dataset.chat_template": False, **more},
            {**ROWS, "dataset.chat_template": True, **more},
        )
        for more in (
            {"dataset.system_prompt": "Be brief."},
            {"dataset.chat_template_kwargs": {"enable_thinking": False}},
        )
    ),
    (
        "dataset-lengths",
        {"dataset.min_tokens": 9, "dataset.max_tokens": 8},
        {"dataset.min_tokens": 9, "dataset.max_tokens": 9},
    ),
    ("min-tokens-longer-than-input", {"dataset.min_tokens": 513}, {"dataset.min_tokens": 512}),
    (
        "synthetic-longer-than-input",
        {"dataset.source": "synthetic", "dataset.tokens": 513},
        {"dataset.source": "synthetic", "dataset.tokens": 512},
    ),
]
