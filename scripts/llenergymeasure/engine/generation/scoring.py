"""How likely a given output is under a loaded model: one forward pass over prompt and output, no generation."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from llenergymeasure.engine.failure import library_call
from llenergymeasure.engine.generation.batches import make_batches

Ids = Sequence[int]


def mean_logprob(
    model: Any, prompts: Sequence[Ids], outputs: Sequence[Ids], *, batch_size: int, pad_token_id: int, device: Any
) -> float:
    """Mean natural logarithm of the probability of an output token, over all tokens of all outputs.

    Each token is predicted from the prompt and the output's true tokens before it (teacher forcing), by the model's
    own distribution: temperature 1, and none of the processors (penalties, bans, top-k …) that generation may apply.
    The logarithm is taken in float32, whatever the model computes in.

    prompts, outputs: token ids of each request; every prompt and at least one output has a token.
    batch_size: requests at a time, padded on the left. The padding is masked and takes no positions.

    Raises:
        ExperimentFailure: the library refuses the pass, or memory ran out.
    """
    with library_call("score"):
        # An index outside the vocabulary is a plain error here; on a GPU it would end the whole process.
        _refuse_unknown(model, outputs)
        # As `generate` does, and not inference_mode: tensors that a model keeps (rotary tables of some kinds) stay of
        # the sort that its compiled code was made for.
        with torch.no_grad():
            pairs = [(prompt, output) for prompt, output in zip(prompts, outputs, strict=True) if output]
            sums = list(_batch_sums(model, pairs, batch_size, pad_token_id, device))
    return sum(sums) / sum(len(output) for output in outputs)


def _batch_sums(
    model: Any, pairs: Sequence[tuple[Ids, Ids]], batch_size: int, pad_token_id: int, device: Any
) -> Iterator[float]:
    """Of each batch, the sum of its tokens' log-probabilities."""
    accepted = inspect.signature(model.forward).parameters
    # The last token predicts nothing.
    texts = [[*prompt, *output][:-1] for prompt, output in pairs]
    for batch in make_batches(texts, batch_size, pad_token_id, device):
        outputs = [output for _, output in pairs[batch.first_request : batch.first_request + batch.rows]]
        given: dict[str, Any] = {"attention_mask": batch.attention_mask, "return_dict": True}
        if "position_ids" in accepted:
            # Padding takes no positions: a prompt starts at 0 wherever it stands in its row.
            given["position_ids"] = (batch.attention_mask.cumsum(-1) - 1).clamp(min=0)
        if "use_cache" in accepted:
            given["use_cache"] = False
        if "logits_to_keep" in accepted:
            given["logits_to_keep"] = max(len(output) for output in outputs)
        # `forward` itself: a call of the model would run, and for these shapes compile, its compiled code.
        logits = model.forward(batch.input_ids, **given).logits
        # A row at a time: a float32 copy of all of them may be larger than the model.
        yield sum(_row_sum(row, output) for row, output in zip(logits, outputs, strict=True))


def _row_sum(logits: torch.Tensor, output: Ids) -> float:
    """Sum over an output's tokens; `logits` has shape (positions, vocabulary), the last rows predict the output."""
    logprobs = torch.log_softmax(logits[-len(output) :].float(), dim=-1)
    wanted = torch.tensor(list(output), dtype=torch.long, device=logprobs.device)
    total: float = logprobs.gather(1, wanted[:, None]).sum(dtype=torch.float64).item()
    return total


def _refuse_unknown(model: Any, outputs: Sequence[Ids]) -> None:
    size = int(model.get_input_embeddings().weight.shape[0])
    largest = max((token for output in outputs for token in output), default=0)
    if largest >= size:
        raise ValueError(f"the reference's output has token {largest}, but this model knows {size} tokens")
