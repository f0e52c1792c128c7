"""Which prompts a study needs: experiments with the same data, number, length and seed share a set. Imports no torch.

A set is read by one tokenizer. So sets are grouped by the model's snapshot, and each is checked once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from llenergymeasure.config.settings.sources import sources_from_intent
from llenergymeasure.pipeline.plan.inputs import DATASET
from llenergymeasure.pipeline.plan.plan import ID_DIGITS
from llenergymeasure.records.study.plan import Plan, PlannedExperiment, digest_of_value

# Settings of an experiment that decide what its prompts are.
_SETTINGS = ("dataset", "n_prompts", "max_input_tokens", "random_seed")


def prompt_set(entry: PlannedExperiment) -> tuple[str, dict[str, Any]]:
    """Id and content of an experiment's set: its settings, and the digest of the data file as planned (else None).

    entry: the experiment in the plan
    """
    content = {name: entry.config[name] for name in _SETTINGS}
    content["data_sha256"] = entry.inputs.get(DATASET)
    return digest_of_value(content)[:ID_DIGITS], content


def prompt_sets(plan: Plan) -> Iterator[tuple[str, str, PlannedExperiment]]:
    """(folder name of the model's snapshot, id of the set, the experiment's entry) per experiment."""
    for entry in plan.experiments.values():
        model = next(source for source in sources_from_intent(entry.config) if source.role == "model")
        yield model.key, prompt_set(entry)[0], entry


def hub_datasets(plan: Plan) -> tuple[tuple[str, str], ...]:
    """(org/name, commit) of each data set on a hub, sorted."""
    datasets = (entry.config["dataset"] for entry in plan.experiments.values())
    return tuple(sorted({(item["name"], item["revision"]) for item in datasets if item["source"] == "hub"}))


def prompts_digests(plan: Plan) -> dict[str, str]:
    """A digest per snapshot that changes when its tokenizer has other sets to read."""
    ids: dict[str, set[str]] = {}
    for key, set_id, _ in prompt_sets(plan):
        ids.setdefault(key, set()).add(set_id)
    return {
        key: hashlib.sha256("".join(sorted(set_ids)).encode()).hexdigest()[:ID_DIGITS] for key, set_ids in ids.items()
    }
