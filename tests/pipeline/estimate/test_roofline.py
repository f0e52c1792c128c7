"""Seconds of a pass, by hand: what is read over the bandwidth, what is computed over the peak, Python per layer."""

from __future__ import annotations

from typing import Any

import pytest

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.pipeline.estimate.durations import guess_experiment, idle_s, start_s
from llenergymeasure.pipeline.estimate.hardware import Hardware
from llenergymeasure.pipeline.estimate.model_facts import ModelFacts
from llenergymeasure.pipeline.estimate.roofline import PassTime, guess_pass

NUMBERS = 10**9
SIZE = 2 * NUMBERS
WEIGHTS = (("all", {"dtype": "U8", "shape": [SIZE], "data_offsets": [0, SIZE]}),)
FACTS = ModelFacts("org/name", None, WEIGHTS, SIZE, SIZE)
# A GB of weights takes a millisecond to read; a token of a billion weights takes a millisecond to compute.
BOARD = Hardware("board", True, 80 * 10**9, 1e12, {"bf16": 2e12}, 400.0, layer_s=0.0)


def experiment(**settings: Any) -> ExperimentConfig:
    pytorch = settings.pop("pytorch", {})
    given = {"model": "./model", "n_prompts": 8, "max_output_tokens": 11, "pytorch": pytorch, **settings}
    return ExperimentConfig.model_validate(given)


def test_decoding_one_row_is_bound_by_the_weights() -> None:
    guess = guess_pass(experiment(), FACTS, BOARD, prompt_tokens=100)
    assert guess is not None
    # Prefill of 100 tokens takes 100 ms, each of the 10 further tokens 2 ms; 8 prompts, one after the other.
    assert guess.prefill_s == pytest.approx(8 * 0.1)
    assert guess.whole_s == pytest.approx(8 * (0.1 + 10 * 0.002))


def test_a_large_batch_is_bound_by_arithmetic() -> None:
    guess = guess_pass(experiment(pytorch={"batch_size": 8}), FACTS, BOARD, prompt_tokens=100)
    assert guess is not None
    assert guess.whole_s == pytest.approx(8 * 0.1 + 10 * 0.008)


def test_beams_are_rows_and_processes_share_the_batches() -> None:
    beams = guess_pass(experiment(pytorch={"num_beams": 4}), FACTS, BOARD, prompt_tokens=100)
    shared = guess_pass(experiment(pytorch={"num_processes": 2}), FACTS, BOARD, prompt_tokens=100)
    assert beams is not None and shared is not None
    assert beams.prefill_s == pytest.approx(8 * 0.4)
    assert shared.prefill_s == pytest.approx(4 * 0.1)


def test_without_a_cache_each_step_reads_everything_again() -> None:
    guess = guess_pass(experiment(pytorch={"use_cache": False}), FACTS, BOARD, prompt_tokens=100)
    assert guess is not None
    assert guess.whole_s == pytest.approx(8 * (0.1 + 10 * 0.105))


def test_pythons_time_per_layer_is_added_to_each_step() -> None:
    slow = Hardware("board", True, None, 1e12, {"bf16": 2e12}, None, layer_s=1e-3)
    guess = guess_pass(experiment(), FACTS, slow, prompt_tokens=100)
    assert guess is not None
    # 32 layers are assumed where no configuration says how many there are.
    assert guess.whole_s == pytest.approx(8 * (0.132 + 10 * 0.034))


def test_what_is_not_known_is_not_guessed() -> None:
    unknown = ModelFacts("org/name", None, None, None, None, "on the hub")
    silent = Hardware("board", True, None, None, {}, None, layer_s=0.0)
    assert guess_pass(experiment(), unknown, BOARD, 100) is None
    assert guess_pass(experiment(), FACTS, silent, 100) is None


def test_the_cache_and_the_experts_come_from_the_configuration() -> None:
    from transformers import LlamaConfig, MixtralConfig

    shape = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 4}
    llama = LlamaConfig(num_hidden_layers=10, **shape)
    facts = ModelFacts("a", llama, WEIGHTS, 0, 0)
    memory = Hardware("board", True, None, 1e6, {"bf16": 1e30}, None, layer_s=0.0)
    short = guess_pass(experiment(n_prompts=1), facts, memory, prompt_tokens=100)
    long = guess_pass(experiment(n_prompts=1), facts, memory, prompt_tokens=200)
    assert short is not None and long is not None
    # 10 layers × 2 × 64 numbers of 2 bytes for each of 100 further tokens, in each of 10 steps.
    assert long.whole_s - short.whole_s == pytest.approx(10 * 10 * 2 * 64 * 2 * 100 / 1e6)

    def entry(numbers: int) -> dict[str, Any]:
        return {"dtype": "BF16", "shape": [numbers], "data_offsets": [0, 2 * numbers]}

    mixtral = MixtralConfig(num_hidden_layers=1, num_local_experts=8, num_experts_per_tok=2, **shape)
    tensors = (("model.embed.weight", entry(100)), ("model.layers.0.mlp.experts.gate", entry(800)))
    guess = guess_pass(experiment(n_prompts=1), ModelFacts("a", mixtral, tensors, 0, 0), BOARD, prompt_tokens=1)
    assert guess is not None
    # One token passes through 100 weights and 2 of 8 experts, which are 300 weights of 2 bytes.
    assert guess.prefill_s == pytest.approx(300 * 2 / 1e12)


def test_an_experiment_is_warmed_up_and_fills_its_windows() -> None:
    config = experiment(warmup={"passes": 3})
    guess = guess_experiment(config, PassTime(2.0, 0.5), min_window_s=10.0, is_gpu=False)
    # 3 passes and 3 prefills; a window of 5 passes, and one of 10 prefills.
    assert guess.warmup_s == pytest.approx(3 * 2 + 3 * 0.5)
    assert guess.replicate_s == pytest.approx(guess.warmup_s + 10 + 5)


def test_a_gpu_also_waits_for_its_temperature() -> None:
    config = experiment(warmup={"temperature_window_s": 20.0})
    guess = guess_experiment(config, PassTime(1.0, 0.5), min_window_s=10.0, is_gpu=True)
    assert guess.warmup_s == pytest.approx(20 + 1.5 + 10)


def test_a_process_starts_and_stays_idle() -> None:
    config = experiment(baseline={"duration_s": 10.0})
    quiet = experiment(baseline={"enabled": False})
    assert start_s(5 * 10**9, config) == pytest.approx(8 + 5)
    assert start_s(0, experiment(pytorch={"torch_compile": True})) == pytest.approx(8 + 60)
    assert idle_s([config, config]) == pytest.approx(2 * 10 + 2 * 10)
    assert idle_s([quiet]) == 0
