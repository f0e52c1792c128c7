"""Probes of the sampler: which logits processors ran, with what values, and what they did to the real logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llenergymeasure.engine.evidence.logits import ProcessorEffect
from llenergymeasure.engine.evidence.observe import Observation
from llenergymeasure.engine.evidence.registry import Probe, ProbeResult, probe

NOT_RUN = ProbeResult(None, "nothing was generated", None)
Effect = Callable[[ProcessorEffect, Any], str | None]


def _processor_probe(name: str, attribute: str, neutral: Any, effect: Effect, what: str) -> Probe:
    """A setting is effective when the processor that applies it ran, holds that value, and did what it says.

    transformers builds no processor for a neutral value, so none having run is evidence for the neutral one.
    `effect` names what contradicts the value in what was counted, or None.
    """

    def look(observation: Observation, requested: Any) -> ProbeResult:
        if observation.heard is None or observation.generation_config is None:
            return NOT_RUN
        ran = observation.heard.effect(name)
        if ran is None:
            names = ", ".join(item.name for item in observation.heard.effects if item.calls) or "none"
            return ProbeResult(neutral, f"no {name} ran (ran: {names})", requested == neutral)
        effective = getattr(ran.processor, attribute)
        wrong = effect(ran, effective)
        observed = f"{name}.{attribute} = {effective}; {ran.text()}" + (f"; {wrong}" if wrong else "")
        return ProbeResult(effective, observed, effective == requested and wrong is None)

    look.__doc__ = what
    return look


def _divided(ran: ProcessorEffect, value: Any) -> str | None:
    """Logits before / after is the temperature; half precision rounds each by up to 2⁻⁸."""
    if ran.scale is None or abs(ran.scale / value - 1) < 0.01:
        return None
    return f"logits were divided by {ran.scale:.3g}"


def _kept_at_most(ran: ProcessorEffect, value: Any) -> str | None:
    # Equal logits at the edge are all kept; a beam search needs two tokens for each beam.
    return None if (ran.kept_least or 0) <= value else f"more than {value} tokens were kept every time"


def _kept_some(ran: ProcessorEffect, _: Any) -> str | None:
    return None if ran.kept_least else "no token was kept"


def _changed_some(ran: ProcessorEffect, _: Any) -> str | None:
    return None if ran.changed_rows else "no logit was changed"


probe("temperature")(
    _processor_probe(
        "TemperatureLogitsWarper",
        "temperature",
        1.0,
        _divided,
        "The factor between the logits before and after TemperatureLogitsWarper, on the real logits of a pass.",
    )
)
probe("top_p")(
    _processor_probe("TopPLogitsWarper", "top_p", 1.0, _kept_some, "TopPLogitsWarper, and how many tokens it kept.")
)
probe("min_p")(
    _processor_probe("MinPLogitsWarper", "min_p", 0.0, _kept_some, "MinPLogitsWarper, and how many tokens it kept.")
)
probe("typical_p")(
    _processor_probe(
        "TypicalLogitsWarper", "mass", 1.0, _kept_some, "TypicalLogitsWarper, and how many tokens it kept."
    )
)
probe("top_h")(
    _processor_probe("TopHLogitsWarper", "top_h", 1.0, _kept_some, "TopHLogitsWarper, and how many tokens it kept.")
)
probe("top_k")(
    _processor_probe(
        "TopKLogitsWarper",
        "top_k",
        0,
        _kept_at_most,
        "TopKLogitsWarper, and how many tokens it kept: no more than k.",
    )
)
probe("repetition_penalty")(
    _processor_probe(
        "RepetitionPenaltyLogitsProcessor",
        "penalty",
        1.0,
        _changed_some,
        "RepetitionPenaltyLogitsProcessor, and that it changed logits.",
    )
)


@probe("do_sample")
def do_sample(observation: Observation, requested: Any) -> ProbeResult:
    """The generation mode that the library chose for the configuration it ran with."""
    if observation.generation_config is None:
        return NOT_RUN
    effective = is_sampled(observation)
    return ProbeResult(effective, f"generation mode {generation_mode(observation)}", effective == requested)


@probe("random_seed")
def random_seed(observation: Observation, requested: Any) -> ProbeResult:
    """The seed of torch's random number generator after the pass (`torch.initial_seed`)."""
    if observation.seed is None:
        return NOT_RUN
    return ProbeResult(observation.seed, "torch.initial_seed() after the pass", observation.seed == requested)


def is_sampled(observation: Observation) -> bool:
    """Whether tokens were drawn at random, by the configuration that generation ran with."""
    return observation.generation_config is not None and bool(observation.generation_config.do_sample)


def generation_mode(observation: Observation) -> str:
    """The library's name for how it generated: greedy_search, sample, beam_search …"""
    return str(observation.generation_config.get_generation_mode()).rsplit(".", 1)[-1].lower()
