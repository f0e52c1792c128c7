"""The estimated peak against peaks that were measured: on an H100 (recorded), and on this processor (slow)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import ROOT
from tiny_architectures import tiny_config
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MixtralConfig, PreTrainedConfig, Qwen3Config

from llenergymeasure.models.memory.estimate import Work, estimate_memory
from llenergymeasure.models.memory.weights import resident_bytes
from llenergymeasure.models.tensors import stored_tensors

SHARE = 0.2
# Allocator peaks in bytes of `generate` in bfloat16 (H100 80GB HBM3, torch 2.11.0+cu130, transformers 5.23.0):
# attention, cache, sequences, tokens of the prompt, new tokens, peak.
Row = tuple[str, str, int, int, int, int]
H100: dict[str, tuple[PreTrainedConfig, int, list[Row]]] = {
    "llama": (
        LlamaConfig(
            hidden_size=1024,
            intermediate_size=2816,
            num_hidden_layers=4,
            num_attention_heads=16,
            num_key_value_heads=8,
            vocab_size=8192,
        ),
        127_945_728,
        [
            ("sdpa", "dynamic", 1, 32, 8, 130_071_552),
            ("sdpa", "dynamic", 1, 2048, 8, 202_017_792),
            ("sdpa", "dynamic", 8, 512, 64, 268_178_432),
            ("sdpa", "dynamic", 2, 1024, 4, 210_326_528),
            ("sdpa", "static", 1, 2048, 8, 203_045_888),
            ("eager", "dynamic", 1, 2048, 8, 817_965_568),
            ("eager", "dynamic", 8, 512, 64, 521_318_912),
            ("eager", "static", 1, 2048, 8, 825_506_304),
        ],
    ),
    "gpt2": (
        GPT2Config(n_embd=1024, n_layer=4, n_head=16, n_positions=4096),
        212_088_832,
        [
            ("sdpa", "dynamic", 1, 2048, 8, 304_614_912),
            ("sdpa", "dynamic", 8, 512, 64, 431_627_776),
            ("eager", "dynamic", 1, 2048, 8, 484_683_264),
            ("eager", "dynamic", 8, 512, 64, 469_089_792),
        ],
    ),
    "qwen3": (
        Qwen3Config(
            hidden_size=1024,
            intermediate_size=3072,
            num_hidden_layers=6,
            num_attention_heads=16,
            num_key_value_heads=8,
            vocab_size=151936,
            head_dim=128,
        ),
        811_107_328,
        [
            ("sdpa", "dynamic", 1, 2048, 8, 849_982_976),
            ("sdpa", "dynamic", 8, 512, 64, 957_072_896),
            ("eager", "dynamic", 1, 2048, 8, 1_512_568_320),
            ("eager", "dynamic", 8, 512, 64, 1_263_142_400),
        ],
    ),
}


@pytest.mark.parametrize("architecture", H100)
def test_estimate_is_near_the_allocators_peak_on_an_h100(architecture: str) -> None:
    config, weights, rows = H100[architecture]
    for attention, cache, sequences, prompt, new, peak in rows:
        estimate = estimate_memory(
            config, weights, Work(sequences, prompt, new, 2, attention, static=cache == "static")
        )
        assert estimate.total == pytest.approx(peak, rel=SHARE), (attention, cache, sequences, prompt)
        assert estimate.low <= 0.81 * estimate.total or estimate.low == estimate.weights
        assert estimate.high >= 1.19 * estimate.total


def work(**changes: Any) -> Work:
    return Work(**{"sequences": 2, "prompt_tokens": 48, "new_tokens": 8, "item_bytes": 4, **changes})


def test_parts_add_up_and_grow_with_the_work() -> None:
    config = tiny_config("llama")
    base = estimate_memory(config, 1000, work())
    assert base.total == base.weights + base.cache + base.workspace + base.logits + base.runtime
    assert estimate_memory(config, 1000, work(sequences=4)).cache == 2 * base.cache
    assert estimate_memory(config, 1000, work(cached=False)).cache == 0
    assert estimate_memory(config, 1000, work(cache_bits=4)).cache < base.cache / 4
    assert estimate_memory(config, 1000, work(attention="eager", prompt_tokens=2000)).workspace > 2 * (
        estimate_memory(config, 1000, work(prompt_tokens=2000)).workspace
    )


def test_where_the_cache_is_not_known_the_weights_alone_are_sure() -> None:
    estimate = estimate_memory(tiny_config("llama"), 1000, work(paged=True))
    assert estimate.unsure is not None
    assert estimate.least == 1000
    assert estimate.high - estimate.total > estimate.cache


# Prints the highest resident set of a pass, as the measurement does.
PEAK = """
import sys, torch
from transformers import AutoModelForCausalLM
from llenergymeasure.engine.memory import host_peak_bytes, release_host, reset_host_peak
folder, dtype, attention, cache, *sizes = sys.argv[1:]
rows, prompt, new = map(int, sizes)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation=attention).eval()
ids = torch.randint(3, 290, (rows, prompt))
for _ in range(2):
    release_host()
    assert reset_host_peak()
    with torch.inference_mode():
        model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, do_sample=False,
            pad_token_id=0, disable_compile=True, cache_implementation=None if cache == "dynamic" else cache,
        )
print(host_peak_bytes())
"""
MODELS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(
        hidden_size=512, intermediate_size=1408, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=4,
        vocab_size=8192,
    ),
    "gpt2": GPT2Config(n_embd=512, n_layer=8, n_head=8, vocab_size=8192, n_positions=2048),
    "mixtral": MixtralConfig(
        hidden_size=512, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=2,
        vocab_size=8192, num_local_experts=4,
    ),
}  # fmt: skip
PASSES = (
    ("float32", "sdpa", "dynamic", 1, 16, 4),
    ("float32", "sdpa", "dynamic", 8, 256, 16),
    ("float32", "eager", "dynamic", 4, 512, 8),
    ("bfloat16", "sdpa", "static", 4, 512, 8),
)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", MODELS)
def test_estimate_is_near_the_peak_of_a_process(architecture: str, tmp_path: Path) -> None:
    config = MODELS[architecture]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    for dtype in ("float32", "bfloat16"):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype)).save_pretrained(tmp_path / dtype)
    for dtype, attention, cache, rows, prompt, new in PASSES:
        folder, item = tmp_path / dtype, getattr(torch, dtype).itemsize
        given = map(str, (folder, dtype, attention, cache, rows, prompt, new))
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *given], env=environment, capture_output=True, text=True, check=True
        )
        estimate = estimate_memory(
            config,
            resident_bytes(stored_tensors(folder), item),
            Work(rows, prompt, new, item, attention, static=cache == "static", on_processor=True),
        )
        assert estimate.total == pytest.approx(int(done.stdout.split()[-1]), rel=SHARE), (dtype, attention, cache, rows)
