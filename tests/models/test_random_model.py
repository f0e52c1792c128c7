"""Architectures with random weights."""

from __future__ import annotations

import pytest
import torch
from models.conftest import TINY, Make
from transformers import AutoModelForCausalLM, AutoTokenizer

from llenergymeasure.models.errors import SnapshotError


def test_the_same_name_gives_the_same_bytes_and_another_seed_other_weights(make: Make) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    first = make(TINY)
    (first.path / "snapshot.json").write_text("{}")  # so that it is made again
    torch.manual_seed(1)
    again = make(TINY)
    assert again.files == first.files
    assert torch.equal(torch.rand(1), expected)  # the caller's random numbers are left alone
    other = make(TINY.replace("seed=7", "seed=8"))
    differing = {path for path in first.files if first.files[path] != other.files[path]}
    assert differing == {"model.safetensors"}


def test_every_byte_has_a_token_and_every_id_a_text(make: Make) -> None:
    tokenizer = AutoTokenizer.from_pretrained(make(TINY).path)
    text = "".join(map(chr, range(256))) + "Grüße, 世界 🙂\r\n\t  two  spaces <bos"
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == len(text.encode())
    assert tokenizer.decode(ids) == text
    assert len(tokenizer) == 300
    assert all(tokenizer.decode([token]) for token in range(300))
    assert tokenizer.padding_side == "left"
    assert tokenizer.model_max_length == 256
    assert tokenizer.chat_template is None


def test_model_and_tokenizer_agree_on_special_tokens(make: Make) -> None:
    snapshot = make(TINY)
    model = AutoModelForCausalLM.from_pretrained(snapshot.path)
    tokenizer = AutoTokenizer.from_pretrained(snapshot.path)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        number = getattr(tokenizer, name)
        assert number == getattr(model.config, name) == getattr(model.generation_config, name)
    assert model.config.num_hidden_layers == 2
    assert snapshot.notes["parameters"] == model.num_parameters()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_are_stored_in_the_dtype_of_the_name(make: Make, dtype: str) -> None:
    snapshot = make(f"{TINY}&dtype={dtype}")
    model = AutoModelForCausalLM.from_pretrained(snapshot.path, dtype="auto")
    assert {str(p.dtype) for p in model.parameters()} == {f"torch.{dtype}"}
    assert snapshot.notes["dtype"] == dtype


def test_other_architectures_and_their_own_field_names(make: Make) -> None:
    snapshot = make("random:gpt2?n_embd=32&num_hidden_layers=1&n_head=2&vocab_size=300")
    model = AutoModelForCausalLM.from_pretrained(snapshot.path)
    assert (model.config.n_embd, model.config.n_layer) == (32, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("random:lama", "no causal language model 'lama'; did you mean llama"),
        ("random:vit", "no causal language model 'vit'"),
        ("random:llama?hiden_size=64", "LlamaConfig has no field 'hiden_size'; did you mean hidden_size"),
        ("random:llama?hidden_size=big", "expected int, got str"),
        ("random:llama?hidden_size=65&num_attention_heads=4", "not a multiple of the number of attention heads"),
        ("random:llama?num_hidden_layers=-1", "num_hidden_layers cannot be negative"),
        ("random:llama?vocab_size=259", "vocab_size must be at least 260"),
        ("random:llama?eos_token_id=5", "eos_token_id is set by"),
        (TINY.replace("num_key_value_heads=1", "num_key_value_heads=0"), "cannot be built"),
    ],
)
def test_impossible_models_are_one_line(make: Make, text: str, message: str) -> None:
    with pytest.raises(SnapshotError, match=message) as caught:
        make(text)
    assert "\n" not in str(caught.value)
