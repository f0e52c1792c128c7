"""How many positions a model has, and what happens beyond them: from config.json and the weights' headers.

`generate` does not compare the length of a sequence with it. A table of positions that is too short raises an index
error, on a CUDA device an assertion that ends the process; rotary positions go on, and what is generated is undefined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

# The library's names for it; a configuration has one or two of them.
_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx", "seq_length")
_LEARNED = re.compile(r"(?:.*\.)?(?:wpe|embed_positions|position_embeddings?|positions_embed|pos_emb\w*)\.weight")
# Tables that the class computes, so that no file holds them.
_TABLED = frozenset({"codegen", "ctrl", "gptj", "mpt"})
# Their tables grow with the sequence.
_GROWING = frozenset({"xglm"})
# A state, or a bias by distance: there is no last position, even where a file names one.
_WITHOUT_LIMIT = frozenset(
    {"bloom", "falcon_mamba", "jamba", "mamba", "mamba2", "nemotron_h", "recurrent_gemma", "rwkv", "xlstm", "zamba"}
)
# A tokenizer that knows no limit says 1e30.
_NO_TOKENIZER_LIMIT = 10**9


@dataclass(frozen=True)
class Positions:
    """limit: tokens of prompt and output that the model has positions for; None where there is no last one

    fixed: beyond the limit the model fails; otherwise it goes on, and its output is undefined
    source: what states the limit
    """

    limit: int | None = None
    fixed: bool = False
    source: str = "config.json"

    def excess(self, prompt_tokens: int, new_tokens: int) -> int:
        """Tokens beyond the limit, 0 where all fit. The last token that is generated is never read."""
        return 0 if self.limit is None else max(prompt_tokens + new_tokens - 1 - self.limit, 0)


def positions(
    config: Any, tensors: Iterable[tuple[str, Mapping[str, Any]]], tokenizer_limit: int | None = None
) -> Positions:
    """From the library's configuration, the weights' headers (`stored_tensors`) and the tokenizer's own limit."""
    text = config.get_text_config(decoder=True)
    kind = str(text.model_type)
    found = _from_config(text, kind, tensors)
    if tokenizer_limit is None or tokenizer_limit >= _NO_TOKENIZER_LIMIT or kind in _WITHOUT_LIMIT or found.fixed:
        return found
    if found.limit is None or tokenizer_limit < found.limit:
        return Positions(tokenizer_limit, False, "the tokenizer (model_max_length)")
    return found


def _stretched(text: Any, kind: str, limit: int) -> float:
    """By which factor scaled rotary positions go beyond what the file states; 1 where that contains the scaling.

    Files of `yarn` state either: `original_max_position_embeddings` is what the factor multiplies. Those of `longrope`
    and `llama3` state what they were scaled to, and Gemma 3 scales some layers alone.
    """
    scaling = getattr(text, "rope_parameters", None)
    if not isinstance(scaling, Mapping) or kind.startswith("gemma3"):
        return 1.0
    factor, original = scaling.get("factor"), scaling.get("original_max_position_embeddings")
    if scaling.get("rope_type") not in ("linear", "dynamic", "yarn") or not isinstance(factor, int | float):
        return 1.0
    return max(1.0, factor * original / limit) if isinstance(original, int) else max(1.0, float(factor))


def _from_config(text: Any, kind: str, tensors: Iterable[tuple[str, Mapping[str, Any]]]) -> Positions:
    if kind in _WITHOUT_LIMIT or getattr(text, "alibi", None) is True:
        return Positions()
    names = {field.name for field in fields(type(text))} | set(type(text).attribute_map)
    stated = [getattr(text, name, None) for name in _NAMES if name in names]
    name = next((name for name in _NAMES if name in names), _NAMES[0])
    limit = next((value for value in stated if isinstance(value, int) and value > 0), None)
    if limit is None or kind in _GROWING:
        return Positions()
    limit = round(limit * _stretched(text, kind, limit))
    rows = [tensor["shape"][0] for name, tensor in tensors if _LEARNED.fullmatch(name) and len(tensor["shape"]) == 2]
    fixed = kind in _TABLED or any(limit <= count <= limit + 2 for count in rows)
    return Positions(limit, fixed, f"config.json ({name})")
