"""Is it the same output? An experiment's output tokens against those of the study's reference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from llenergymeasure.engine.generation.batches import digest_of_ids
from llenergymeasure.engine.generation.generation import Request
from llenergymeasure.records.finding import warning

Ids = Sequence[int]

REFERENCE_FAILED = (
    "the reference experiment failed while it was warmed up, or its logits were not finite: there is no output to "
    "compare with"
)


def compare_outputs(reference: dict[str, Any], prompts: Sequence[Ids], outputs: Sequence[Ids]) -> dict[str, Any]:
    """What a record says of its output, but for the log-probability, which is null here.

    reference: {experiment_id, outputs}, with {prompt_ids, output_ids} of each request; no outputs where it failed or
    its logits were not finite
    prompts, outputs: this experiment's token ids of each request, in the same order

    Outputs are comparable when every request had the same prompt tokens. Positions count from the output's first
    token, which is 0; what one output has beyond the end of the other is different.
    """
    theirs = reference["outputs"]
    head = {"reference": reference["experiment_id"], "reference_logprob_mean": None, "logprob_reason": None}
    reason = _why_not(prompts, [row["prompt_ids"] for row in theirs])
    if reason is not None:
        figures = dict.fromkeys(
            (
                "requests",
                "identical",
                "identical_requests",
                "first_difference",
                "equal_token_share",
                "reference_tokens",
            )
        )
        return {**head, "comparable": False, "reason": reason, **figures}
    pairs = [(list(mine), list(row["output_ids"])) for mine, row in zip(outputs, theirs, strict=True)]
    differences = [place for mine, other in pairs if (place := first_difference(mine, other)) is not None]
    return {
        **head,
        "comparable": True,
        "reason": None,
        "requests": len(pairs),
        "identical": not differences,
        "identical_requests": len(pairs) - len(differences),
        "first_difference": min(differences, default=None),
        "equal_token_share": equal_token_share(pairs),
        "reference_tokens": sum(len(other) for _, other in pairs),
    }


def varying_outputs(requests: Sequence[Request], warmed_up: Sequence[Ids], *, sampled: bool) -> list[dict[str, str]]:
    """A warning where passes that should give the same outputs did not; none where all agree.

    warmed_up: output ids of every prompt in the instrumented pass, in prompt order
    sampled: passes after the first draw with seeds of their own, so only the first one is compared with the
        instrumented pass, which had its seed; otherwise all passes of the window are compared with each other

    Where they differ, the kernels are not deterministic (as on an H100), or the output depends on what else is in the
    batch.
    """
    digests: dict[int, set[str]] = defaultdict(set)
    if sampled:
        digests.update((place, {digest_of_ids(ids)}) for place, ids in enumerate(warmed_up))
    for request in requests:
        if not sampled or request.pass_index == 0:
            digests[request.request_index].add(request.row.digest)
    varying = sum(len(outputs) > 1 for outputs in digests.values())
    if not varying:
        return []
    message = (
        f"{varying} of {len(digests)} requests have a different output in a later pass, with the same seed: generation "
        "is not deterministic here, which alone can make an output differ from the reference's"
    )
    return [warning("outputs-vary", message)]


def first_difference(one: Ids, other: Ids) -> int | None:
    """Index of the first token that differs, or that only one of the two has; None where they are the same."""
    for place, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return place
    return None if len(one) == len(other) else min(len(one), len(other))


def equal_token_share(pairs: Sequence[tuple[Ids, Ids]]) -> float:
    """Positions with the same token over all positions; a pair has as many as its longer output has tokens.

    Two outputs without tokens are the same.
    """
    positions = sum(max(len(one), len(other)) for one, other in pairs)
    equal = sum(a == b for one, other in pairs for a, b in zip(one, other, strict=False))
    return equal / positions if positions else 1.0


def _why_not(prompts: Sequence[Ids], theirs: Sequence[Ids]) -> str | None:
    if not theirs:
        return REFERENCE_FAILED
    if len(prompts) != len(theirs):
        return f"other prompts than the reference's: {len(prompts)}, the reference has {len(theirs)}"
    unequal = [
        place for place, (one, other) in enumerate(zip(prompts, theirs, strict=True)) if list(one) != list(other)
    ]
    if unequal:
        return (
            f"other prompts than the reference's: {len(unequal)} of {len(prompts)} have other tokens, "
            f"the first is number {unequal[0]}"
        )
    return None
