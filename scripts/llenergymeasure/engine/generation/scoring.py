"""How likely a given answer is under a loaded model: one forward pass over prompt and answer, no generation."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from llenergymeasure.engine.failure import library_call
from llenergymeasure.engine.generation.batches import make_batches

Ids = Sequence[int]


def mean_logprob(
    model: Any, prompts: Sequence[Ids], answers: Sequence[Ids], *, batch_size: int, pad_token_id: int, device: Any
) -> float:
    """Mean natural logarithm of the probability of an answer token, over all tokens of all answers.

    Each token is predicted from the prompt and the answer's true tokens before it (teacher forcing), by the model's
    own distribution: temperature 1, and none of the processors (penalties, bans, top-k …) that generation may apply.
    The logarithm is taken in float32, whatever the model computes in.

    prompts, answers: token ids of each request; every prompt has a token, and one answer at least.
    batch_size: requests at a time, padded on the left. The padding is masked and takes no positions.

    Raises:
        ExperimentFailure: the library refuses the pass, or memory ran out.
    """
    with library_call("score"):
        # An index outside the vocabulary is a plain error here; on a GPU it would take the whole process along.
        _refuse_unknown(model, answers)
        # As `generate` does, and not inference_mode: tensors that a model keeps (rotary tables of some kinds) stay of
        # the sort that its compiled code was made for.
        with torch.no_grad():
            pairs = [(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True) if answer]
            sums = list(_batch_sums(model, pairs, batch_size, pad_token_id, device))
    return sum(sums) / sum(len(answer) for answer in answers)


def _batch_sums(
    model: Any, pairs: Sequence[tuple[Ids, Ids]], batch_size: int, pad_token_id: int, device: Any
) -> Iterator[float]:
    """Of each batch, the sum of its tokens' log-probabilities."""
    accepted = inspect.signature(model.forward).parameters
    # The last token predicts nothing.
    texts = [[*prompt, *answer][:-1] for prompt, answer in pairs]
    for batch in make_batches(texts, batch_size, pad_token_id, device):
        answers = [answer for _, answer in pairs[batch.first_request : batch.first_request + batch.rows]]
        given: dict[str, Any] = {"attention_mask": batch.attention_mask, "return_dict": True}
        if "position_ids" in accepted:
            # Padding takes no positions: a prompt starts at 0 wherever it stands in its row.
            given["position_ids"] = (batch.attention_mask.cumsum(-1) - 1).clamp(min=0)
        if "use_cache" in accepted:
            given["use_cache"] = False
        if "logits_to_keep" in accepted:
            given["logits_to_keep"] = max(len(answer) for answer in answers)
        # `forward` itself: a call of the model would run, and for these shapes compile, its compiled code.
        logits = model.forward(batch.input_ids, **given).logits
        # A row at a time: a float32 copy of all of them may be larger than the model.
        yield sum(_row_sum(row, answer) for row, answer in zip(logits, answers, strict=True))


def _row_sum(logits: torch.Tensor, answer: Ids) -> float:
    """Sum over an answer's tokens; `logits` has shape (positions, vocabulary), the last rows predict the answer."""
    logprobs = torch.log_softmax(logits[-len(answer) :].float(), dim=-1)
    wanted = torch.tensor(list(answer), dtype=torch.long, device=logprobs.device)
    total: float = logprobs.gather(1, wanted[:, None]).sum(dtype=torch.float64).item()
    return total


def _refuse_unknown(model: Any, answers: Sequence[Ids]) -> None:
    size = int(model.get_input_embeddings().weight.shape[0])
    largest = max((token for answer in answers for token in answer), default=0)
    if largest >= size:
        raise ValueError(f"the reference's answer has token {largest}, this model knows {size} tokens")
