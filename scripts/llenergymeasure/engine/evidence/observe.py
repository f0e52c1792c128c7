"""One instrumented pass, outside every measured window: what `generate` built for this experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import StoppingCriteriaList

from llenergymeasure.engine.batches import Batch, Row, read_rows
from llenergymeasure.engine.compilation import counts
from llenergymeasure.engine.failure import library_call
from llenergymeasure.engine.generation import Generator, TokenStamps
from llenergymeasure.engine.load import LoadedModel


@dataclass
class Observation:
    """Everything the probes look at. Generation fields stay empty until an instrumented pass ran."""

    loaded: LoadedModel
    revision: str | None
    has_code: bool
    compile_counts: Mapping[str, int] = field(default_factory=dict)
    window_counts: Mapping[str, int] | None = None
    generation_config: Any = None
    processors: Sequence[Any] = ()
    cache: Any = None
    rows: Sequence[Row] = ()
    batches: Sequence[Batch] = ()
    steps: Sequence[int] = ()
    fixed_output: bool = True
    seed: int | None = None

    @property
    def model(self) -> Any:
        return self.loaded.model

    def processor(self, name: str) -> Any | None:
        """The logits processor or warper of that class which ran, if one did."""
        return next((item for item in self.processors if type(item).__name__ == name), None)


def observe(seen: Observation, generator: Generator) -> None:
    """Run one pass with the measured keywords and note what it used. Fills `seen` in place."""
    captured: dict[str, Any] = {}
    rows: list[Row] = []
    steps: list[int] = []
    torch.manual_seed(generator.seed)
    with _capture_processors(seen.model, captured):
        for batch in generator.batches:
            stamps = TokenStamps(generator.devices.clock, first_only=False)
            with library_call("generate"):
                output = seen.model.generate(
                    batch.input_ids,
                    attention_mask=batch.attention_mask,
                    stopping_criteria=StoppingCriteriaList([stamps]),
                    **{**generator.keywords, "return_dict_in_generate": True},
                )
            steps.extend(stamps.widths)
            rows.extend(read_rows(output.sequences, batch.width, generator.eos_token_ids, generator.max_new_tokens))
            seen.cache = getattr(output, "past_key_values", None)
    generator.devices.synchronize()
    seen.rows = rows
    seen.steps = steps
    seen.batches = generator.batches
    seen.processors = captured.get("processors", ())
    seen.generation_config = captured.get("generation_config")
    seen.seed = generator.seed
    seen.compile_counts = counts()


@contextmanager
def _capture_processors(model: Any, captured: dict[str, Any]) -> Iterator[None]:
    """Listen in on the method with which `generate` builds its logits processors."""
    original = model._get_logits_processor

    def listening(generation_config: Any, *positional: Any, **named: Any) -> Any:
        processors = original(generation_config, *positional, **named)
        captured["processors"] = list(processors)
        captured["generation_config"] = generation_config
        return processors

    model._get_logits_processor = listening
    try:
        yield
    finally:
        del model._get_logits_processor
