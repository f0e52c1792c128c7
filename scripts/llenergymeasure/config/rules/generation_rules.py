"""How tokens are generated: cache, batches, sampling, lengths."""

from __future__ import annotations

from llenergymeasure.config.rules.relations import Values, rule, rules_among
from llenergymeasure.config.settings.pytorch import STATIC_CACHES


@rule(
    "sliding-window-deprecated",
    "warning",
    "pytorch.cache_implementation",
    says="`sliding_window` is deprecated in transformers and gives a static cache",
    fix="write static",
)
def sliding_window(value: Values) -> str | None:
    chosen = value.given("pytorch.cache_implementation")
    return '"sliding_window" is deprecated; transformers runs a StaticCache' if chosen == "sliding_window" else None


@rule(
    "static-cache-batch",
    "warning",
    "pytorch.cache_implementation",
    "pytorch.batch_size",
    says="a static cache with batches of prompts of different lengths: every prompt is padded to the longest",
    fix="compare padded_tokens, or use prompts of one length (dataset.source: synthetic)",
)
def static_batches(value: Values) -> str | None:
    chosen, batch_size = value.given("pytorch.cache_implementation"), value("pytorch.batch_size")
    if chosen not in STATIC_CACHES or batch_size == 1 or value.given("dataset.source") == "synthetic":
        return None
    return f"a static cache has one length for all {batch_size} prompts of a batch, and each new length is a new cache"


@rule(
    "batch-above-prompts",
    "warning",
    "pytorch.batch_size",
    "n_prompts",
    says="`pytorch.batch_size` above `n_prompts`: no batch is ever full",
    fix="raise n_prompts or lower pytorch.batch_size",
)
def never_full(value: Values) -> str | None:
    batch_size, prompts = value.given("pytorch.batch_size"), value.given("n_prompts")
    return f"{batch_size}, but with n_prompts: {prompts} no batch is ever full" if batch_size > prompts else None


@rule(
    "temperature-zero-sampling",
    "error",
    "decoder.temperature",
    "decoder.do_sample",
    says="`decoder.temperature: 0` with sampling: transformers refuses it",
    fix="set decoder.do_sample: false for greedy decoding",
)
def zero_sampling(value: Values) -> str | None:
    zero = value.given("decoder.temperature") == 0 and value.given("decoder.do_sample")
    return "is 0 and tokens are sampled, which transformers refuses" if zero else None


@rule(
    "temperature-zero-greedy",
    "warning",
    "decoder.temperature",
    "decoder.do_sample",
    says="`decoder.temperature: 0` with greedy decoding: it has no effect and is not passed on",
    fix="remove decoder.temperature; decoder.do_sample: false is enough",
)
def zero_greedy(value: Values) -> str | None:
    zero = value.given("decoder.temperature") == 0 and not value.given("decoder.do_sample")
    return "0 has no effect with greedy decoding and is not passed on" if zero else None


@rule(
    "min-tokens-above-max",
    "error",
    "decoder.min_new_tokens",
    "max_output_tokens",
    says="`decoder.min_new_tokens` above `max_output_tokens`",
    fix="raise max_output_tokens or lower decoder.min_new_tokens",
)
def least_above_most(value: Values) -> str | None:
    least, most = value.given("decoder.min_new_tokens"), value.given("max_output_tokens")
    return f"{least} is more than max_output_tokens: {most}" if least > most else None


@rule(
    "min-tokens-fixed-output",
    "error",
    "decoder.min_new_tokens",
    "fixed_output",
    "max_output_tokens",
    says="`decoder.min_new_tokens` with `fixed_output`, which makes every output `max_output_tokens` tokens long",
    fix="set fixed_output: false or remove decoder.min_new_tokens",
)
def least_of_fixed(value: Values) -> str | None:
    least, most = value.given("decoder.min_new_tokens"), value.given("max_output_tokens")
    if not value.given("fixed_output") or least > most:
        return None
    return f"{least} has no effect: fixed_output makes every output {most} tokens long"


RULES = rules_among(globals())
