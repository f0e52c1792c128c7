"""Probes of what a chat template made of the prompts."""

from __future__ import annotations

from typing import Any

from llenergymeasure.engine.evidence.observe import Observation
from llenergymeasure.engine.evidence.registry import ProbeResult, probe
from llenergymeasure.engine.evidence.sampler_probes import NOT_RUN


@probe("system_prompt")
def system_prompt(observation: Observation, requested: Any) -> ProbeResult:
    """The ids that were handed over, as text again: how many prompts contain the system prompt. Spaces and capitals do
    not count, since a tokenizer may not give them back."""
    if requested is None:
        return ProbeResult(None, "the prompts have no system message of the study", True)
    if observation.generated is None:
        return NOT_RUN
    decode = observation.loaded.tokenizer.decode
    texts = [_letters(decode(ids)) for ids in observation.generated.prompt_ids]
    count = sum(_letters(requested) in text for text in texts)
    agrees = 0 < count == len(texts)
    return ProbeResult(
        requested if agrees else None, f"the text is in {count} of {len(texts)} prompts, decoded from their ids", agrees
    )


@probe("chat_template_kwargs")
def chat_template_kwargs(observation: Observation, requested: Any) -> ProbeResult:
    """Each prompt rendered with and without the keyword: how many have another text. Where none has, the value is the
    template's own, and another value changes a prompt; otherwise the study is refused."""
    if requested is None:
        return ProbeResult(None, "the chat template got no keywords of the study", True)
    changed = observation.changed_prompts
    read = {name: value for name, value in requested.items() if name in changed}
    observed = ", ".join(
        f"{name} changes {count} prompts" if count else f"{name} is what the template does by itself"
        for name, count in changed.items()
    )
    return ProbeResult(read, observed or "no keyword was tried", read == requested)


def _letters(text: str) -> str:
    return "".join(str(text).split()).casefold()
