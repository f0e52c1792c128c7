"""The eight experiments, in the words of each tool: two attention kernels with four batch sizes, greedy, float32.

The prompts are the same texts for all, cut to the same number of tokens by each tool; only optimum-benchmark draws
token ids of its own, as many. All generate the same number of tokens without an end token that could end a row.
`min_new_tokens` would do that too, but compares the whole vocabulary with the end token in every step, which on a tiny
model takes a third of the call. All run on one thread: our worker drops OMP_NUM_THREADS and asks torch for every core
where a study does not say, while a peer's process follows it.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

Setting = tuple[str, int]
SETTINGS: tuple[Setting, ...] = tuple(itertools.product(("sdpa", "eager"), (1, 2, 4, 8)))
PROMPT_TOKENS, NEW_TOKENS, WARMUP_CALLS = 16, 8, 2
THREADS = 1
# For the tool that passes no None on: an end token that no vocabulary has.
NO_END_TOKEN = 2**31 - 1
PROMPTS = tuple(
    f"The {adjective} river runs past the old town, and the children on the bridge count the boats that come home"
    for adjective in ("red", "blue", "green", "grey", "white", "black", "small", "long")
)


def write_prompts(folder: Path, size: int, times: int = 1) -> str:
    """A file with the prompts of one batch, `times` times over; its path."""
    path = folder / f"prompts-{size}-{times}.jsonl"
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in PROMPTS[:size] * times), encoding="utf-8")
    return str(path)


def ours(model: Path, setting: Setting, folder: Path) -> dict[str, Any]:
    """One pass is one call of `generate`."""
    kernel, size = setting
    return {
        "model": str(model),
        "precision": "fp32",
        "cpu_threads": THREADS,
        "n_prompts": size,
        "max_input_tokens": PROMPT_TOKENS,
        "max_output_tokens": NEW_TOKENS,
        "decoder": {"preset": "deterministic"},
        "dataset": {"source": "file", "path": write_prompts(folder, size), "column": "prompt", "chat_template": False},
        "pytorch": {"attn_implementation": kernel, "batch_size": size, "inference_mode": True},
        "warmup": {"passes": WARMUP_CALLS},
        "baseline": {"duration_s": 0.25},
    }


def script(model: Path, setting: Setting, calls: int) -> dict[str, Any]:
    kernel, size = setting
    return {
        "model": str(model),
        "attn_implementation": kernel,
        "batch_size": size,
        "prompts": PROMPTS[:size],
        "prompt_tokens": PROMPT_TOKENS,
        "new_tokens": NEW_TOKENS,
        "warmup_calls": WARMUP_CALLS,
        "calls": calls,
    }


def original(model: Path, setting: Setting, calls: int, folder: Path) -> dict[str, Any]:
    """As in a study file of the llenergymeasure on PyPI. It warms up with one prompt before those that are counted."""
    kernel, size = setting
    return {
        "engine": "transformers",
        "serving_mode": "offline",
        "task": {
            "model": str(model),
            "dataset": {"source": write_prompts(folder, size, calls), "n_prompts": size * calls},
            "max_input_tokens": PROMPT_TOKENS,
            "max_output_tokens": NEW_TOKENS,
        },
        "offline": {"warmup": {"n_prompts": WARMUP_CALLS - 1}},
        "measurement": {"energy_sampler": "codecarbon", "baseline": {"enabled": False}},
        "transformers": {
            "engine_params": {"dtype": "float32", "attn_implementation": kernel},
            "sampling_params": {"do_sample": False, "eos_token_id": NO_END_TOKEN},
            "llem_execution": {"batch_size": size},
        },
    }
