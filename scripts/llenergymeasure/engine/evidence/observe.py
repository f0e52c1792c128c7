"""One instrumented pass, outside every measured window: what `generate` built for this experiment."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from llenergymeasure.engine.evidence.listening import Heard, listen
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.generation.generation import Generator, Instrumented
from llenergymeasure.engine.generation.model_defaults import unset_by_study
from llenergymeasure.engine.loading.compilation import counts, since
from llenergymeasure.engine.loading.library_warnings import library_warnings
from llenergymeasure.engine.loading.load import LoadedModel
from llenergymeasure.engine.loading.weight_storage import LayerStorage, weight_storage


class Identity(Protocol):
    """What a probe reads of a snapshot."""

    @property
    def revision(self) -> str | None: ...

    @property
    def has_code(self) -> bool: ...

    @property
    def model(self) -> str: ...


@dataclass(frozen=True)
class Replica:
    """One process of an experiment; `prompts` is None until it generated."""

    rank: int
    pid: int
    device: str
    prompts: int | None
    threads: int


@dataclass
class Observation:
    """Everything the probes look at. Generation fields stay empty until an instrumented pass ran.

    Created when an experiment begins: the compiler's work is counted from then on.
    """

    loaded: LoadedModel
    snapshots: Mapping[str, Identity] = field(default_factory=dict)
    rank: int = 0
    # The artifact that quantized weights were read from, in words; None where this process quantized them.
    weights_from: str | None = None
    began: Mapping[str, int] = field(default_factory=counts)
    # Since the experiment began; empty until something was generated.
    compile_counts: Mapping[str, int] = field(default_factory=dict)
    window_counts: Mapping[str, int] | None = None
    heard: Heard | None = None
    generated: Instrumented | None = None
    fixed_output: bool = True
    seed: int | None = None
    # How many prompts have another text with each keyword of the chat template than without it.
    changed_prompts: Mapping[str, int] = field(default_factory=dict)
    replicas: Sequence[Replica] = ()
    # What the libraries logged while the instrumented pass ran, as {code, message}.
    library_warnings: Sequence[dict[str, str]] = ()
    # As `look_at_weights` last saw the layers.
    storage: Sequence[LayerStorage] = ()

    def __post_init__(self) -> None:
        self.storage = self.loaded.storage_at_load

    @property
    def model(self) -> Any:
        return self.loaded.model

    @property
    def generation_config(self) -> Any:
        """The configuration that generation ran with; None until it did."""
        return None if self.heard is None else self.heard.generation_config

    @property
    def compiled(self) -> bool:
        """Whether the model's forward is compiled code, which must not be disturbed."""
        return self.loaded.compile_keywords is not None

    def count(self) -> None:
        """Note what the compiler has done since the experiment began."""
        self.compile_counts = since(self.began)

    def look_at_weights(self) -> None:
        """Note what the layers hold by now. A method may unpack its weights in the first forward pass."""
        self.storage = weight_storage(self.model, self.loaded.architecture)

    def snapshot(self, role: str) -> Identity | None:
        return self.snapshots.get(role)

    def replica(self) -> Replica:
        """This process."""
        return Replica(
            rank=self.rank,
            pid=os.getpid(),
            device=str(next(self.model.parameters()).device),
            prompts=None if self.generated is None else len(self.generated.rows),
            threads=torch.get_num_threads(),
        )


def _library_compiles(model: Any, generator: Generator) -> bool:
    """Whether transformers may compile the decoding step by itself: over a static cache, on an accelerator."""
    cache = generator.keywords.get("cache_implementation") or model.generation_config.cache_implementation
    named = "compile_config" in generator.keywords
    return named or (model.device.type != "cpu" and cache not in (None, "dynamic", "offloaded", "quantized"))


def observe(observation: Observation, generator: Generator) -> None:
    """Run one pass with the measured keywords and note what it used. Fills `observation` in place.

    ExperimentFailure where the library refuses.
    """
    heard = Heard()
    compiled = observation.compiled or _library_compiles(observation.model, generator)
    with library_warnings() as said, listen(observation.model, heard, compiled=compiled):
        try:
            observation.generated = generator.run_instrumented()
        except ExperimentFailure as failure:
            # What the library refuses may be the model's own choice, which the study does not show.
            hint = unset_by_study(observation.loaded.defaults, generator.keywords)
            if hint is None:
                raise
            reason = f"{failure.reason} ({hint})"
            raise ExperimentFailure(failure.stage, failure.error_class, reason, failure.trace) from failure
    observation.heard, observation.library_warnings = heard, said.to_list()
    # What the generators of random numbers were really set to for this pass.
    observation.seed = torch.initial_seed()
    observation.count()
    if observation.compile_counts["frames_seen"]:
        # The compiler's first call leaves its inputs, the cache among them, in reference cycles. Collected at some
        # later moment, they would count in the peak until then, and later caches would move to other addresses, for
        # which CUDA graphs are recorded again.
        gc.collect()
