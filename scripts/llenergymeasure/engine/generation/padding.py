"""The id that batches are padded with. Imports no library, so that prompts are read without torch."""

from __future__ import annotations

from typing import Any


def pad_token(tokenizer: Any, rows: int | None) -> int:
    """The id used for padding: the tokenizer's own, else its end-of-sequence token (masked either way).

    rows: of the model's embedding, where known; `generate` fails with an id that has no row there
    """
    candidates = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((int(token) for token in candidates if token is not None and (rows is None or token < rows)), 0)


def padding_replaced(tokenizer: Any, rows: int | None) -> str | None:
    """Why the tokenizer's own padding cannot be used, and what is used instead; None where it can, or there is none."""
    own = tokenizer.pad_token_id
    if own is None or rows is None or own < rows:
        return None
    return (
        f"the tokenizer's padding token {tokenizer.pad_token!r} has the id {own}, but the model's embedding has {rows} "
        f"rows; batches are padded with id {pad_token(tokenizer, rows)}, which is masked"
    )


def embedding_rows(model: Any) -> int:
    """Rows of the loaded model's input embedding: the token ids that it knows."""
    embedding = model.get_input_embeddings()
    return int(getattr(embedding, "num_embeddings", None) or embedding.weight.shape[0])
