"""Listen in on the library while it generates: what it built, how it was called, what it did.

Methods of the model are wrapped on the instance for one pass (with their signature, which the library reads) and then
restored. The model's own computation does not change, and nothing listens while a window is open.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from llenergymeasure.engine.evidence.finite_logits import FiniteLogits
from llenergymeasure.engine.evidence.kernels import StepProfile
from llenergymeasure.engine.evidence.logits import ProcessorEffect, count_effects


@dataclass
class Heard:
    """What one instrumented pass showed.

    step_widths, step_rows: positions and sequences of each forward pass, as `generate` prepared it, call by call
    beam_arguments: name → the values the beam search was run with
    proposed, accepted: tokens guessed and kept in assisted generation
    attention_kernels: operators of attention in one decoding step; None where no step was profiled, or where they
        cannot be known; `attention_kernels_reason` then says why
    logits: counts rows of the model's own logits that are not numbers
    sdpa_calls: calls of torch's scaled_dot_product_attention; None where counting them would disturb compiled code
    """

    generation_config: Any = None
    effects: list[ProcessorEffect] = field(default_factory=list)
    step_widths: list[int] = field(default_factory=list)
    step_rows: list[int] = field(default_factory=list)
    beam_arguments: dict[str, set[Any]] = field(default_factory=dict)
    guesser: str | None = None
    proposed: int = 0
    accepted: int = 0
    attention_kernels: tuple[str, ...] | None = None
    attention_kernels_reason: str | None = None
    logits: FiniteLogits = field(default_factory=FiniteLogits)
    sdpa_calls: int | None = None

    def effect(self, name: str) -> ProcessorEffect | None:
        """The processor of that class which ran, if one did."""
        return next((item for item in self.effects if item.name == name and item.calls), None)


@contextmanager
def listen(model: Any, heard: Heard, *, compiled: bool) -> Iterator[None]:
    """Fill `heard` while the model generates."""
    with ExitStack() as stack:
        wrap = _Wrapper(stack, model)
        wrap("_get_logits_processor", lambda original: _processors(original, heard))
        wrap("_get_candidate_generator", lambda original: _candidates(original, heard))
        wrap("_update_finished_beams", lambda original: _beams(original, heard))
        step = StepProfile(compiled=compiled)
        wrap("prepare_inputs_for_generation", lambda original: _inputs(original, heard, step))
        stack.callback(_end_profile, step, heard)
        if not compiled:
            stack.enter_context(_sdpa_counted(heard))
        yield


class _Wrapper:
    def __init__(self, stack: ExitStack, model: Any) -> None:
        self._stack = stack
        self._model = model

    def __call__(self, name: str, make: Callable[[Any], Any]) -> None:
        original = getattr(self._model, name, None)
        if original is None:
            return
        own = self._model.__dict__.get(name)
        setattr(self._model, name, make(original))
        self._stack.callback(self._restore, name, own)

    def _restore(self, name: str, own: Any) -> None:
        if own is None:
            delattr(self._model, name)
        else:
            setattr(self._model, name, own)


def _processors(original: Any, heard: Heard) -> Any:
    @functools.wraps(original)
    def listening(generation_config: Any, *positional: Any, **named: Any) -> Any:
        processors = original(generation_config, *positional, **named)
        heard.generation_config = generation_config
        known = {id(effect.processor) for effect in heard.effects}
        heard.effects += [count_effects(item) for item in processors if id(item) not in known]
        # A draft model is handed the processors of its model, with this one.
        if heard.logits not in processors:
            processors.insert(0, heard.logits)
        return processors

    return listening


def _candidates(original: Any, heard: Heard) -> Any:
    @functools.wraps(original)
    def listening(*positional: Any, **named: Any) -> Any:
        guesser = original(*positional, **named)
        heard.guesser = type(guesser).__name__
        get, update = guesser.get_candidates, guesser.update_candidate_strategy

        def get_candidates(input_ids: torch.Tensor, *rest: Any, **more: Any) -> Any:
            candidates = get(input_ids, *rest, **more)
            heard.proposed += int(candidates[0].shape[1] - input_ids.shape[1])
            return candidates

        def update_candidate_strategy(input_ids: Any, scores: Any, num_matches: Any, *rest: Any) -> Any:
            heard.accepted += int(num_matches)
            return update(input_ids, scores, num_matches, *rest)

        guesser.get_candidates = get_candidates
        guesser.update_candidate_strategy = update_candidate_strategy
        return guesser

    return listening


def _beams(original: Any, heard: Heard) -> Any:
    @functools.wraps(original)
    def listening(*positional: Any, **named: Any) -> Any:
        for name in ("num_beams", "early_stopping", "length_penalty"):
            if name in named:
                heard.beam_arguments.setdefault(name, set()).add(named[name])
        return original(*positional, **named)

    return listening


def _end_profile(step: StepProfile, heard: Heard) -> None:
    step.before_preparing()
    heard.attention_kernels, heard.attention_kernels_reason = step.names, step.reason


def _inputs(original: Any, heard: Heard, step: StepProfile) -> Any:
    @functools.wraps(original)
    def listening(*positional: Any, **named: Any) -> Any:
        step.before_preparing()
        prepared = original(*positional, **named)
        ids = prepared.get("input_ids")
        if ids is None:
            ids = prepared.get("inputs_embeds")
        if ids is not None:
            heard.step_widths.append(int(ids.shape[1]))
            heard.step_rows.append(int(ids.shape[0]))
            step.before_forward(int(ids.shape[1]))
        return prepared

    return listening


@contextmanager
def _sdpa_counted(heard: Heard) -> Iterator[None]:
    functional = torch.nn.functional
    original = functional.scaled_dot_product_attention
    heard.sdpa_calls = 0

    def counting(*positional: Any, **named: Any) -> Any:
        heard.sdpa_calls = (heard.sdpa_calls or 0) + 1
        return original(*positional, **named)

    functional.scaled_dot_product_attention = counting
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = original
