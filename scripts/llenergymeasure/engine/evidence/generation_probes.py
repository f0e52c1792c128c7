"""Probes of how tokens were generated: they look at what an instrumented pass did and returned."""

from __future__ import annotations

from typing import Any

from llenergymeasure.config.settings.parameter import same_as_any
from llenergymeasure.engine.evidence.natural_ends import beyond_natural_end
from llenergymeasure.engine.evidence.observe import Observation
from llenergymeasure.engine.evidence.registry import Probe, ProbeResult, probe
from llenergymeasure.engine.evidence.sampler_probes import NOT_RUN, generation_mode

HOLDS_BACK = ("MinLengthLogitsProcessor", "MinNewTokensLengthLogitsProcessor")
CACHE_CLASSES = {
    "dynamic": "DynamicCache",
    "offloaded": "DynamicCache",
    "static": "StaticCache",
    "offloaded_static": "StaticCache",
    "sliding_window": "StaticCache",
    "quantized": "QuantizedCache",
}


@probe("min_new_tokens")
def min_new_tokens(observation: Observation, requested: Any) -> ProbeResult:
    """The length of the shortest output."""
    if observation.generated is None:
        return NOT_RUN
    shortest = min(len(row.output_ids) for row in observation.generated.rows)
    if requested is None:
        return ProbeResult(None, f"shortest output: {shortest} tokens", True)
    kept = observation.heard is not None and any(item.name in HOLDS_BACK for item in observation.heard.effects)
    observed = f"shortest output: {shortest} tokens; the end token {'was' if kept else 'was not'} held back until then"
    agrees = shortest >= requested and kept
    return ProbeResult(requested if agrees else shortest, observed, agrees)


@probe("inference_mode")
def inference_mode(observation: Observation, requested: Any) -> ProbeResult:
    """Whether the output tensors are inference tensors: a tensor made in that mode stays one."""
    if observation.generated is None:
        return NOT_RUN
    if observation.generated.inference is None:
        return ProbeResult(None, "a thread of the library generated, in a mode of its own", None)
    observed = f"outputs {'are' if observation.generated.inference else 'are not'} inference tensors"
    return ProbeResult(observation.generated.inference, observed, observation.generated.inference == bool(requested))


@probe("max_new_tokens")
def max_new_tokens(observation: Observation, requested: Any) -> ProbeResult:
    """The length of the longest output; with `fixed_output`, of every output."""
    if observation.generated is None:
        return NOT_RUN
    lengths = [len(row.output_ids) for row in observation.generated.rows]
    agrees = set(lengths) == {requested} if observation.fixed_output else max(lengths) <= requested
    observed = f"outputs of {min(lengths)} to {max(lengths)} tokens"
    if observation.fixed_output:
        beyond = beyond_natural_end(observation, [row.output_ids for row in observation.generated.rows])
        observed += f", {beyond} of {len(lengths)} run on behind an end token"
    return ProbeResult(requested if agrees else max(lengths), observed, agrees)


@probe("max_input_tokens")
def max_input_tokens(observation: Observation, requested: Any) -> ProbeResult:
    """The length of the longest prompt that was handed over."""
    if observation.generated is None:
        return NOT_RUN
    longest = max(observation.generated.prompt_lengths)
    agrees = longest <= requested
    return ProbeResult(requested if agrees else longest, f"longest prompt: {longest} tokens", agrees)


@probe("batch_size")
def batch_size(observation: Observation, requested: Any) -> ProbeResult:
    """Rows of the tensors handed to `generate`, of which only the last may be smaller; with continuous batching, the
    most prompts that ran in one step."""
    if observation.generated is None:
        return NOT_RUN
    rows = observation.generated.batch_rows
    if observation.generated.method == "generate_batch":
        most, prompts = max(rows), len(observation.generated.rows)
        reached = True if requested is None or most == min(requested, prompts) else None
        agrees = False if requested is not None and most > requested else reached
        return ProbeResult(requested if agrees else most, f"{len(rows)} steps of {min(rows)} to {most} prompts", agrees)
    wanted = requested or 1
    total = sum(rows)
    agrees = rows[:-1] == [wanted] * (len(rows) - 1) and rows[-1] <= wanted and (total < wanted or rows[0] == wanted)
    return ProbeResult(wanted if agrees else rows[0], f"{len(rows)} batches of {rows} rows", agrees)


@probe("batching")
def batching(observation: Observation, requested: Any) -> ProbeResult:
    """The method that generated, and the class of its cache: only continuous batching has a paged one."""
    if observation.generated is None:
        return NOT_RUN
    cache = observation.generated.cache
    name = None if cache is None else cache.class_name
    effective = "continuous" if name == "PagedAttentionCache" else "static"
    observed = f"{observation.generated.method}, cache of class {name}"
    return ProbeResult(effective, observed, effective == (requested or "static"))


@probe("cache_used")
def cache_used(observation: Observation, requested: Any) -> ProbeResult:
    """The returned cache, and the positions of each forward pass: with a cache only the first sees the prompt."""
    if observation.generated is None or observation.heard is None:
        return NOT_RUN
    cache, widths = observation.generated.cache, observation.heard.step_widths
    effective = cache is not None
    observed = f"cache of class {cache.class_name}" if cache is not None else "no cache was returned"
    if not effective and len(widths) > 1:
        # Without a cache every step computes the whole sequence, which is one position longer each time.
        grows = widths[1] == widths[0] + 1
        observed += f"; forward passes over {widths[0]}, {widths[1]} … positions"
        return ProbeResult(False if grows else None, observed, requested is False and grows)
    return ProbeResult(effective, observed, effective == requested)


@probe("cache_class")
def cache_class(observation: Observation, requested: Any) -> ProbeResult:
    """Class and length of the cache that generation used. A cache that is allocated at once must be exactly as long as
    the longest prompt and its output need."""
    if observation.generated is None:
        return NOT_RUN
    cache = observation.generated.cache
    if cache is None:
        return ProbeResult(None, "no cache was returned", requested is None)
    wanted = _length_needed(observation)
    fits = cache.length is None or wanted is None or cache.length == wanted
    fits = fits or (cache.sliding and cache.length is not None and cache.length < (wanted or 0))
    observed = cache.text()
    if cache.length is not None and wanted is not None:
        observed += f"; prompt and output need {wanted}"
    if requested is None:
        return ProbeResult(cache.class_name, observed, fits)
    kind = cache.class_name == CACHE_CLASSES[requested] and cache.offloading == requested.startswith("offloaded")
    effective = requested if kind and fits else f"{cache.class_name} of {cache.length}" if kind else cache.class_name
    return ProbeResult(effective, observed, kind and fits)


def _length_needed(observation: Observation) -> int | None:
    """Positions of a cache that is allocated at once, as the library counts them: all tokens but the last output,
    which is never an input. `generate` keeps the longest of its calls."""
    settings = observation.generation_config
    if observation.generated is None or settings is None or settings.max_new_tokens is None:
        return None
    needed = max(observation.generated.prompt_lengths) + int(settings.max_new_tokens) - 1
    return max(needed, getattr(settings, "max_cache_len", None) or 0)


@probe("beams")
def beams(observation: Observation, requested: Any) -> ProbeResult:
    """Sequences per prompt that a forward pass worked on: that is the number of beams."""
    if observation.generated is None or observation.generation_config is None or observation.heard is None:
        return NOT_RUN
    prompts = max(observation.generated.batch_rows)
    width = max(observation.heard.step_rows, default=prompts) / prompts
    effective = int(width) if width == int(width) else width
    return ProbeResult(
        effective,
        f"mode {generation_mode(observation)}, {width:g} sequences per prompt in each step",
        effective == (requested or 1),
    )


def _beam_probe(name: str, neutral: Any, what: str) -> Probe:
    def look(observation: Observation, requested: Any) -> ProbeResult:
        if observation.heard is None or observation.generation_config is None:
            return NOT_RUN
        values = observation.heard.beam_arguments.get(name)
        if not values:
            # The neutral value asks for what happens without a beam search, so the rules accept it there.
            return ProbeResult(neutral, "no beam search ran", same_as_any(requested, (None, neutral)))
        effective = next(iter(values)) if len(values) == 1 else sorted(values, key=str)
        return ProbeResult(
            effective,
            f"the beam search was run with {name} = {effective}",
            type(effective) is type(requested) and effective == requested,
        )

    look.__doc__ = what
    return look


probe("early_stopping")(
    _beam_probe("early_stopping", False, "The value that each step of the beam search was called with.")
)
probe("length_penalty")(
    _beam_probe("length_penalty", 1.0, "The exponent that each step of the beam search was called with.")
)


@probe("ngrams")
def ngrams(observation: Observation, requested: Any) -> ProbeResult:
    """Whether an output repeats a run of tokens of that length, and how many tokens were banned for it."""
    if observation.generated is None or observation.heard is None:
        return NOT_RUN
    ran = observation.heard.effect("NoRepeatNGramLogitsProcessor")
    if not requested:
        size = 0 if ran is None else ran.processor.ngram_size
        return ProbeResult(size, "no processor ran" if ran is None else ran.text(), size == 0)
    rows = observation.generated.rows
    repeats = sum(_has_repeat(row.output_ids, requested) for row in rows)
    size = None if ran is None else ran.processor.ngram_size
    observed = f"{repeats} of {len(rows)} outputs repeat a {requested}-gram; " + (
        "no processor ran" if ran is None else f"processor of size {size} banned {ran.banned} tokens"
    )
    agrees = size == requested and not repeats
    return ProbeResult(size, observed, agrees)


def _has_repeat(ids: tuple[int, ...], size: int) -> bool:
    grams = [ids[place : place + size] for place in range(len(ids) - size + 1)]
    return len(set(grams)) < len(grams)


@probe("prefill_chunks")
def prefill_chunks(observation: Observation, requested: Any) -> ProbeResult:
    """Positions of the first forward passes: no more than a chunk each."""
    if observation.generated is None or observation.heard is None or not observation.heard.step_widths:
        return NOT_RUN
    widths, longest = observation.heard.step_widths, max(observation.generated.prompt_lengths)
    widest = max(widths)
    observed = f"forward passes over {widest} positions at most, prompts of up to {longest}"
    if requested is None:
        return ProbeResult(None, observed, True)
    if longest <= requested:
        return ProbeResult(None, f"{observed}: a single chunk", None)
    return ProbeResult(requested if widest == requested else widest, observed, widest == requested)


@probe("prompt_lookup")
def prompt_lookup(observation: Observation, requested: Any) -> ProbeResult:
    """The candidate generator that was used, and how many of its tokens were proposed and accepted."""
    return _guesses(observation, requested, "PromptLookupCandidateGenerator")


@probe("assistant")
def assistant(observation: Observation, requested: Any) -> ProbeResult:
    """The draft model's class, size and number format, and how many of its tokens were proposed and accepted."""
    drafter = observation.loaded.assistant
    if drafter is None:
        return ProbeResult(None, "no draft model is loaded", requested is None)
    dtype = str(drafter.dtype).removeprefix("torch.")
    about = f"{type(drafter).__name__} of {drafter.num_parameters()} parameters in {dtype}"
    if observation.generated is None or observation.heard is None:
        return ProbeResult(requested, f"{about}; nothing was generated yet", None)
    guesses = _guesses(observation, requested, "AssistedCandidateGenerator")
    alike = drafter.dtype == observation.model.dtype
    return ProbeResult(
        guesses.effective if alike else f"{requested} in {dtype}",
        f"{about}; {guesses.observed}",
        guesses.agrees and alike,
    )


def _guesses(observation: Observation, requested: Any, guesser: str) -> ProbeResult:
    if observation.generated is None or observation.heard is None or observation.generation_config is None:
        return NOT_RUN
    heard = observation.heard
    tokens, steps = sum(len(row.output_ids) for row in observation.generated.rows), len(observation.generated.steps)
    ran = heard.guesser == guesser
    observed = f"mode {generation_mode(observation)}, {tokens} tokens in {steps} steps"
    if ran:
        observed += f"; {heard.proposed} tokens proposed, {heard.accepted} accepted"
    return ProbeResult(requested if ran else None, observed, ran == bool(requested))
