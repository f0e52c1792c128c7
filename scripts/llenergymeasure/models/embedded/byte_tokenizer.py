"""A tokenizer that needs no data: one token per byte, for models with random weights."""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

_SPECIAL = ("<pad>", "<bos>", "<eos>")
SPECIAL_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
MINIMUM_VOCABULARY = 260


def byte_tokenizer(vocabulary: int, max_length: int | None) -> PreTrainedTokenizerFast:
    """A tokenizer with `vocabulary` entries: 3 special tokens, 256 bytes, and fillers no text encodes to.

    The fillers give every id the model can produce a token, so that generated ids can always be decoded.
    """
    entries = [*_SPECIAL, *sorted(ByteLevel.alphabet())]
    entries += [f"<filler_{index}>" for index in range(len(entries), vocabulary)]
    tokenizer = Tokenizer(BPE(vocab={token: index for index, token in enumerate(entries)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIAL])
    pad, bos, eos = _SPECIAL
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        bos_token=bos,
        eos_token=eos,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    if max_length is not None:
        wrapped.model_max_length = max_length
    return wrapped
