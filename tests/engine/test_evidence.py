"""Evidence says `applied` where a setting took effect, and `ignored` where it did not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.conftest import Run
from llenergymeasure.config.parameters import parameters
from llenergymeasure.engine.evidence import PROBES, collect

Runner = Callable[..., Run]
SAMPLING = {"do_sample": True}
FOUR_BIT = {"load_in_4bit": True}


def test_every_declared_parameter_names_a_probe() -> None:
    assert {item.evidence for item in parameters().values()} <= set(PROBES)


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        ("precision", {"precision": "bf16"}),
        ("max_output_tokens", {"max_output_tokens": 5}),
        ("random_seed", {"random_seed": 7}),
        ("cpu_threads", {"cpu_threads": 1}),
        ("pytorch.batch_size", {"pytorch": {"batch_size": 2}}),
        ("pytorch.attn_implementation", {"pytorch": {"attn_implementation": "eager"}}),
        ("pytorch.load_in_8bit", {"pytorch": {"load_in_8bit": True}}),
        ("pytorch.load_in_4bit", {"pytorch": FOUR_BIT}),
        ("pytorch.bnb_4bit_quant_type", {"pytorch": {**FOUR_BIT, "bnb_4bit_quant_type": "nf4"}}),
        ("pytorch.bnb_4bit_use_double_quant", {"pytorch": {**FOUR_BIT, "bnb_4bit_use_double_quant": True}}),
        ("pytorch.bnb_4bit_compute_dtype", {"pytorch": {**FOUR_BIT, "bnb_4bit_compute_dtype": "bfloat16"}}),
        ("pytorch.use_cache", {"pytorch": {"use_cache": False}}),
        ("pytorch.cache_implementation", {"pytorch": {"cache_implementation": "static"}}),
        ("pytorch.cache_implementation", {"pytorch": {"cache_implementation": "dynamic"}}),
        ("pytorch.num_beams", {"pytorch": {"num_beams": 2}}),
        ("pytorch.early_stopping", {"fixed_output": False, "pytorch": {"num_beams": 2, "early_stopping": "never"}}),
        ("pytorch.length_penalty", {"fixed_output": False, "pytorch": {"num_beams": 2, "length_penalty": 2.0}}),
        ("pytorch.no_repeat_ngram_size", {"pytorch": {"no_repeat_ngram_size": 2}}),
        ("pytorch.prompt_lookup_num_tokens", {"pytorch": {"prompt_lookup_num_tokens": 3}}),
        ("pytorch.device_map", {"pytorch": {"device_map": "cpu"}}),
        ("pytorch.max_memory", {"pytorch": {"max_memory": {"cpu": "1GiB"}}}),
        ("decoder.temperature", {"decoder": {**SAMPLING, "temperature": 0.5}}),
        ("decoder.top_k", {"decoder": {**SAMPLING, "top_k": 7}}),
        ("decoder.top_p", {"decoder": {**SAMPLING, "top_p": 0.8}}),
        ("decoder.min_p", {"decoder": {**SAMPLING, "min_p": 0.01}}),
        ("decoder.repetition_penalty", {"decoder": {**SAMPLING, "repetition_penalty": 1.3}}),
        ("decoder.min_new_tokens", {"fixed_output": False, "decoder": {**SAMPLING, "min_new_tokens": 6}}),
    ],
)
def test_a_setting_that_took_effect_is_applied(run: Runner, path: str, settings: dict[str, Any]) -> None:
    evidence = run(**settings).evidence
    assert evidence[path]["verdict"] == "applied", evidence[path]
    assert not [name for name, entry in evidence.items() if entry["verdict"] == "ignored"]


@pytest.mark.parametrize(
    ("path", "claimed"),
    [
        ("precision", {"precision": "bf16"}),
        ("max_output_tokens", {"max_output_tokens": 6}),
        ("cpu_threads", {"cpu_threads": 77}),
        ("random_seed", {"random_seed": 7}),
        ("pytorch.batch_size", {"n": 9, "pytorch": {"batch_size": 2}}),
        ("pytorch.attn_implementation", {"pytorch": {"attn_implementation": "eager"}}),
        ("pytorch.torch_compile", {"pytorch": {"torch_compile": True}}),
        ("pytorch.load_in_8bit", {"pytorch": {"load_in_8bit": True}}),
        ("pytorch.load_in_4bit", {"pytorch": FOUR_BIT}),
        ("pytorch.bnb_4bit_quant_type", {"pytorch": {**FOUR_BIT, "bnb_4bit_quant_type": "nf4"}}),
        ("pytorch.use_cache", {"pytorch": {"use_cache": False}}),
        ("pytorch.cache_implementation", {"pytorch": {"cache_implementation": "static"}}),
        ("pytorch.num_beams", {"pytorch": {"num_beams": 2}}),
        ("pytorch.no_repeat_ngram_size", {"pytorch": {"no_repeat_ngram_size": 2}}),
        ("pytorch.prompt_lookup_num_tokens", {"pytorch": {"prompt_lookup_num_tokens": 3}}),
        ("pytorch.device_map", {"pytorch": {"device_map": "cuda:0"}}),
        ("decoder.do_sample", {"decoder": SAMPLING}),
        ("decoder.temperature", {"decoder": {**SAMPLING, "temperature": 0.5}}),
        ("decoder.top_k", {"decoder": {**SAMPLING, "top_k": 7}}),
        ("decoder.repetition_penalty", {"decoder": {"do_sample": False, "repetition_penalty": 1.3}}),
        (
            "decoder.min_new_tokens",
            {"max_output_tokens": 12, "fixed_output": False, "decoder": {**SAMPLING, "min_new_tokens": 9}},
        ),
    ],
)
def test_a_setting_that_did_not_is_ignored(run: Runner, path: str, claimed: dict[str, Any]) -> None:
    """A plain run, held against a configuration that claims more."""
    plain = run(pytorch={"attn_implementation": "sdpa"})
    wanted = type(plain.config).model_validate({**plain.config.model_dump(mode="json"), **claimed})
    plain.seen.compile_counts = dict.fromkeys(plain.seen.compile_counts, 0)
    entry = collect(wanted, plain.seen)[path]
    assert entry["verdict"] == "ignored", entry
    assert entry["observed"]
