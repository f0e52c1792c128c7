"""What an experiment asks of its model, where the model is here already: attention, positions and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.settings.sources import sources_from_intent
from llenergymeasure.engine.attention_check import class_problems
from llenergymeasure.engine.capacity import memory_problems
from llenergymeasure.models.at_hand import ModelAtHand, model_at_hand
from llenergymeasure.models.positions import positions
from llenergymeasure.pipeline.context_check import context_doubt


class ModelFit:
    """Reads each model once. Lengths of prompts are not known yet: the prompts job checks them."""

    def __init__(self, snapshots: Path) -> None:
        self._snapshots = snapshots
        self._read: dict[str, ModelAtHand | None] = {}

    def problems(self, config: ExperimentConfig, intent: Mapping[str, Any]) -> Iterator[Problem]:
        """intent: the experiment's nested settings. Nothing where the model's files are not here."""
        source = next(source for source in sources_from_intent(intent) if source.role == "model")
        if source.key not in self._read:
            self._read[source.key] = model_at_hand(source.ref, source.revision, self._snapshots)
        model = self._read[source.key]
        if model is None:
            return
        yield from class_problems(config, model.config)
        yield from memory_problems(config, model)
        doubt = context_doubt(positions(model.config, model.tensors), 1, intent)
        if doubt is not None and doubt[0].severity == "error":
            yield doubt[0].problem("max_output_tokens", f"{config.model}: {doubt[1]}")
