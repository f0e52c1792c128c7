"""The project's own prompts: a selection that mixes kinds and lengths, by the study's seed."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TypeVar

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.errors import PromptError, name_choices
from llenergymeasure.measurement.prompts.sources.source import Row, Rows, RowSource, Wanted, user_message

BUILTIN = Path(__file__).with_suffix(".jsonl")

_Item = TypeVar("_Item")


class Builtin(RowSource):
    local = True

    def check(self, dataset: DatasetConfig) -> None:
        known = {row["kind"] for row in _builtin_prompts()[0]}
        for kind in dataset.kinds or []:
            if kind not in known:
                raise PromptError(
                    f"dataset.kinds: there are no built-in prompts of kind {kind!r}; {name_choices(kind, known)}"
                )

    def open(self, dataset: DatasetConfig, wanted: Wanted) -> Rows:
        prompts, sha256 = _builtin_prompts()
        kept = [row for row in prompts if dataset.kinds is None or row["kind"] in dataset.kinds]
        of_kinds = f" of kind {', '.join(dataset.kinds)}" if dataset.kinds else ""
        if wanted.n > len(kept):
            raise PromptError(
                f"n_prompts: {wanted.n} prompts asked for, but there are {len(kept)} built-in prompts{of_kinds}"
            )
        rows = (
            Row(row["kind"], (user_message(row["prompt"]),), f"built-in prompt {row['id']}", dataset.system_prompt)
            for row in _mixed(kept, random.Random(wanted.seed))
        )
        return Rows(f"the set of built-in prompts{of_kinds}", rows, {BUILTIN.name: sha256})


def _builtin_prompts() -> tuple[list[dict[str, str]], str]:
    """Rows {id, kind, prompt} of the built-in prompts, and the SHA-256 of their file."""
    data = BUILTIN.read_bytes()
    return [json.loads(line) for line in data.decode("utf-8").splitlines()], hashlib.sha256(data).hexdigest()


def _mixed(prompts: list[dict[str, str]], rng: random.Random) -> Iterator[dict[str, str]]:
    """All prompts in an order whose every beginning has kinds in equal parts (while they last) and short, middle and
    long ones of each kind.

    Only `rng.random()` is used: Python promises the same numbers from it on every version, and from `shuffle` not.
    """
    by_kind: dict[str, list[dict[str, str]]] = {}
    for row in sorted(prompts, key=lambda row: (row["kind"], len(row["prompt"]), row["id"])):
        by_kind.setdefault(row["kind"], []).append(row)
    queues = {kind: iter(_mixed_lengths(rows, rng)) for kind, rows in by_kind.items()}
    while queues:
        for kind in _shuffled(list(queues), rng):
            prompt = next(queues[kind], None)
            if prompt is None:
                del queues[kind]
            else:
                yield prompt


def _mixed_lengths(rows: list[dict[str, str]], rng: random.Random) -> list[dict[str, str]]:
    """`rows`, sorted by length, dealt out so that each three in a row are one short, one middle and one long one."""
    third = -(-len(rows) // 3)
    bands = [_shuffled(rows[start : start + third], rng) for start in range(0, len(rows), third)]
    rounds = ([band[i] for band in bands if i < len(band)] for i in range(third))
    return list(chain.from_iterable(_shuffled(round_, rng) for round_ in rounds))


def _shuffled(items: list[_Item], rng: random.Random) -> list[_Item]:
    return sorted(items, key=lambda _: rng.random())
