"""Probes of how tokens were generated: they look at what an instrumented pass built and returned."""

from __future__ import annotations

from typing import Any

from llenergymeasure.engine.evidence.observe import Observation
from llenergymeasure.engine.evidence.registry import Finding, Probe, probe

NOT_RUN = Finding(None, "nothing was generated", None)
CACHE_CLASSES = {
    "dynamic": "DynamicCache",
    "offloaded": "DynamicCache",
    "static": "StaticCache",
    "offloaded_static": "StaticCache",
    "sliding_window": "StaticCache",
    "quantized": "QuantizedCache",
}


def _processor_probe(class_name: str, attribute: str, neutral: Any) -> Probe:
    """A sampler setting is effective when the logits processor that applies it ran, with that value.

    transformers builds no processor for a neutral value, so none having run is evidence for the neutral one.
    """

    def look(seen: Observation, requested: Any) -> Finding:
        if seen.generation_config is None:
            return NOT_RUN
        processor = seen.processor(class_name)
        names = ", ".join(type(item).__name__ for item in seen.processors) or "none"
        if processor is None:
            return Finding(neutral, f"no {class_name} ran (ran: {names})", requested == neutral)
        effective = getattr(processor, attribute)
        return Finding(effective, f"{class_name}.{attribute} = {effective}", effective == requested)

    return look


probe("temperature")(_processor_probe("TemperatureLogitsWarper", "temperature", 1.0))
probe("top_p")(_processor_probe("TopPLogitsWarper", "top_p", 1.0))
probe("min_p")(_processor_probe("MinPLogitsWarper", "min_p", 0.0))
probe("repetition_penalty")(_processor_probe("RepetitionPenaltyLogitsProcessor", "penalty", 1.0))


@probe("top_k")
def top_k(seen: Observation, requested: Any) -> Finding:
    """Tokens the sampler may choose from; the warper raises it to the number of beams it must fill."""
    if seen.generation_config is None:
        return NOT_RUN
    processor = seen.processor("TopKLogitsWarper")
    if processor is None:
        return Finding(0, "no TopKLogitsWarper ran", requested == 0)
    return Finding(processor.top_k, f"TopKLogitsWarper.top_k = {processor.top_k}", processor.top_k == requested)


@probe("do_sample")
def do_sample(seen: Observation, requested: Any) -> Finding:
    """The decoding mode `generate` chose."""
    if seen.generation_config is None:
        return NOT_RUN
    mode = str(seen.generation_config.get_generation_mode()).rsplit(".", 1)[-1].lower()
    effective = bool(seen.generation_config.do_sample)
    return Finding(effective, f"generation mode {mode}", effective == requested)


@probe("min_new_tokens")
def min_new_tokens(seen: Observation, requested: Any) -> Finding:
    """The shortest output of the instrumented pass."""
    if not seen.rows:
        return NOT_RUN
    shortest = min(len(row.output_ids) for row in seen.rows)
    agrees = requested is None or shortest >= requested
    return Finding(requested if agrees else shortest, f"shortest output: {shortest} tokens", agrees)


@probe("max_new_tokens")
def max_new_tokens(seen: Observation, requested: Any) -> Finding:
    """The longest output; in fixed-output mode every output."""
    if not seen.rows:
        return NOT_RUN
    lengths = [len(row.output_ids) for row in seen.rows]
    agrees = set(lengths) == {requested} if seen.fixed_output else max(lengths) <= requested
    return Finding(requested if agrees else max(lengths), f"outputs of {min(lengths)} to {max(lengths)} tokens", agrees)


@probe("max_input_tokens")
def max_input_tokens(seen: Observation, requested: Any) -> Finding:
    """The longest prompt in the batches that were generated from."""
    if not seen.batches:
        return NOT_RUN
    longest = max(length for batch in seen.batches for length in batch.prompt_lengths)
    return Finding(
        requested if longest <= requested else longest,
        f"longest prompt: {longest} tokens",
        longest <= requested,
    )


@probe("batch_size")
def batch_size(seen: Observation, requested: Any) -> Finding:
    """Rows of the tensors handed to `generate`; only the last batch may be smaller."""
    if not seen.batches:
        return NOT_RUN
    rows = [batch.rows for batch in seen.batches]
    wanted = requested or 1
    total = sum(rows)
    agrees = rows[:-1] == [wanted] * (len(rows) - 1) and rows[-1] <= wanted and (total < wanted or rows[0] == wanted)
    return Finding(rows[0], f"{len(rows)} batches of {rows} rows", agrees)


@probe("random_seed")
def random_seed(seen: Observation, requested: Any) -> Finding:
    """The seed the random generators were set to before the pass."""
    return Finding(
        seen.seed,
        "torch.manual_seed before each pass, prompt selection from the same seed",
        seen.seed == requested,
    )


@probe("cache_used")
def cache_used(seen: Observation, requested: Any) -> Finding:
    """Whether generation returned a key-value cache."""
    if not seen.rows:
        return NOT_RUN
    effective = seen.cache is not None
    shown = type(seen.cache).__name__ if effective else "no cache object"
    return Finding(effective, shown, effective == requested)


@probe("cache_class")
def cache_class(seen: Observation, requested: Any) -> Finding:
    """The class of the cache object that generation used."""
    if not seen.rows:
        return NOT_RUN
    name = type(seen.cache).__name__ if seen.cache is not None else None
    offloading = bool(getattr(seen.cache, "offloading", False))
    observed = f"cache object of class {name}" + (", offloading" if offloading else "")
    if requested is None:
        return Finding(name, observed, True)
    agrees = name == CACHE_CLASSES[requested] and offloading == requested.startswith("offloaded")
    return Finding(requested if agrees else name, observed, agrees)


@probe("beams")
def beams(seen: Observation, requested: Any) -> Finding:
    """The width the search ran with."""
    return _from_generation_config(seen, requested, "num_beams", 1)


@probe("early_stopping")
def early_stopping(seen: Observation, requested: Any) -> Finding:
    """The rule that ended the beam search."""
    return _from_beam_search(seen, requested, "early_stopping", False)


@probe("length_penalty")
def length_penalty(seen: Observation, requested: Any) -> Finding:
    """The exponent by which the beam search weighed length."""
    return _from_beam_search(seen, requested, "length_penalty", 1.0)


def _from_beam_search(seen: Observation, requested: Any, name: str, neutral: Any) -> Finding:
    if seen.generation_config is None:
        return NOT_RUN
    if (seen.generation_config.num_beams or 1) == 1:
        return Finding(None, "no beam search ran", False)
    return _from_generation_config(seen, requested, name, neutral)


def _from_generation_config(seen: Observation, requested: Any, name: str, neutral: Any) -> Finding:
    if seen.generation_config is None:
        return NOT_RUN
    value = getattr(seen.generation_config, name)
    effective = neutral if value is None else value
    mode = str(seen.generation_config.get_generation_mode()).rsplit(".", 1)[-1].lower()
    return Finding(
        effective,
        f"{name} = {effective} in the configuration generation ran with, mode {mode}",
        effective == requested,
    )


@probe("ngrams")
def ngrams(seen: Observation, requested: Any) -> Finding:
    """Whether an output repeats an n-gram of that size."""
    if not seen.rows:
        return NOT_RUN
    if not requested:
        return Finding(0, "no n-gram size was asked for", requested == 0)
    repeats = sum(_has_repeat(row.output_ids, requested) for row in seen.rows)
    ran = seen.processor("NoRepeatNGramLogitsProcessor") is not None
    return Finding(
        requested if ran and not repeats else None,
        f"{repeats} of {len(seen.rows)} outputs repeat a {requested}-gram; processor {'ran' if ran else 'did not run'}",
        ran and not repeats,
    )


def _has_repeat(ids: tuple[int, ...], size: int) -> bool:
    grams = [ids[place : place + size] for place in range(len(ids) - size + 1)]
    return len(set(grams)) < len(grams)


@probe("prompt_lookup")
def prompt_lookup(seen: Observation, requested: Any) -> Finding:
    """Whether assisted generation ran, and in how many steps it yielded its tokens."""
    if seen.generation_config is None:
        return NOT_RUN
    mode = str(seen.generation_config.get_generation_mode()).rsplit(".", 1)[-1].lower()
    tokens = sum(len(row.output_ids) for row in seen.rows)
    steps = len(seen.steps)
    ran = "assisted" in mode
    return Finding(
        requested if ran else None,
        f"generation mode {mode}, {tokens} tokens in {steps} steps",
        ran == bool(requested),
    )
