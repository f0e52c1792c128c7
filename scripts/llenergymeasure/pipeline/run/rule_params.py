"""The parameters of rules: a job runs again where they differ from those that its outputs were made with.

They are plain data: Snakemake 9.27 compares no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from llenergymeasure.config.settings.quantization_key import quantizing_intent
from llenergymeasure.config.settings.sources import SourceIntent
from llenergymeasure.models.recipe import model_recipe
from llenergymeasure.models.snapshot import refusals
from llenergymeasure.pipeline.plan.plan_index import PlanIndex, read_piece
from llenergymeasure.pipeline.run.paths import StudyPaths
from llenergymeasure.records.study.plan import Plan


class RuleParams:
    """plan: the whole plan; None on a cluster's node, which reads the piece that it needs from the folder `pieces`.

    models_lock: the file with the models' pins
    """

    def __init__(self, index: PlanIndex, plan: Plan | None, pieces: Path, models_lock: Path) -> None:
        self._index = index
        self._plan = plan
        self._pieces = pieces
        self._models_lock = models_lock

    def snapshot_recipe(self, wildcards: Mapping[str, str]) -> dict[str, Any]:
        """Everything that decides what is in a snapshot; it is the key of Snakemake's cache.

        A hub model that could not be had has one value more, a new one after each refusal: the next call tries again.
        """
        source = self._sources[wildcards["key"]]
        recipe = model_recipe(
            source.name,
            source.revision,
            self._models_lock,
            is_adapter=source.role == "adapter",
            content=self._contents.get(source.key),
        )
        refused = refusals(Path(StudyPaths.snapshot.format(key=source.key))) if source.ref.kind == "hub" else 0
        return {**recipe, "refusals": refused} if refused else recipe

    def quantizing_settings(self, wildcards: Mapping[str, str]) -> dict[str, Any] | None:
        """The settings that decide the weights: the same for all studies and setups that share them."""
        setup_id = self._index.setup_of_job(wildcards)
        plan = self._plan or read_piece(self._pieces, "setups", setup_id)
        return quantizing_intent(plan.setup_config(setup_id))

    def setup_contents(self, wildcards: Mapping[str, str]) -> Mapping[str, str]:
        """Digests by role: a folder with other weights under the same name is loaded again."""
        return self._index.setups[wildcards["setup_id"]].contents

    @property
    def stopping(self) -> dict[str, Any] | None:
        """When a study that names a precision ends; None for other studies."""
        return None if self._index.stopping is None else asdict(self._index.stopping)

    def prompts_digest(self, wildcards: Mapping[str, str]) -> str:
        return self._index.prompts[wildcards["key"]]

    # Not made when a study is opened: while `pin` runs, no model has a key yet.
    @cached_property
    def _sources(self) -> dict[str, SourceIntent]:
        return {source.key: source for source in self._index.sources()}

    @cached_property
    def _contents(self) -> dict[str, str]:
        return {
            source.key: setup.contents[source.role]
            for setup in self._index.setups.values()
            for source in setup.sources
            if source.role in setup.contents
        }


def installed_versions(*names: str) -> dict[str, str | None]:
    """Versions in the environment that Snakemake runs in. Under conda the environment's file also triggers reruns."""
    return {name: next((distribution.version for distribution in distributions(name=name)), None) for name in names}
