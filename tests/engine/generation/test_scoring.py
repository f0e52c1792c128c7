"""The log-probability of an answer, against sums worked out token by token without any padding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from engine.conftest import PROMPTS, Run
from transformers import GPT2Config, GPT2LMHeadModel, MambaConfig, MambaForCausalLM

from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.generation.scoring import mean_logprob
from llenergymeasure.engine.loading.compilation import counts, since

Runner = Callable[..., Run]
IDS = [[7, 8, 9], [5], [11, 12, 13, 14, 15, 16, 17]]
ANSWERS = [[1, 2, 3, 4], [40, 41], [30]]


def one_by_one(model: Any, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> float:
    """Each token from a call of its own: the ids before it, nothing else, and the softmax by hand."""
    log_probabilities = []
    for prompt, answer in zip(prompts, answers, strict=True):
        for place, token in enumerate(answer):
            before = torch.tensor([[*prompt, *answer[:place]]])
            with torch.no_grad():
                logits = model(input_ids=before).logits[0, -1].double()
            log_probabilities.append(
                float(logits[token] - torch.log(torch.exp(logits - logits.max()).sum()) - logits.max())
            )
    return sum(log_probabilities) / len(log_probabilities)


def score(model: Any, prompts: Any, answers: Any, batch_size: int) -> float:
    device = torch.device("cpu")
    return mean_logprob(model, prompts, answers, batch_size=batch_size, pad_token_id=0, device=device)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_agrees_with_a_loop_over_tokens_whatever_the_padding(run: Runner, batch_size: int) -> None:
    done = run()
    prompts = [done.loaded.tokenizer(text)["input_ids"] for text in PROMPTS]
    assert len({len(ids) for ids in prompts}) == 3
    # Answers of different lengths too.
    answers = [output[: 8 - 3 * place] for place, output in enumerate(done.outputs)]
    mean_log_probability = score(done.loaded.model, prompts, answers, batch_size)
    assert mean_log_probability == pytest.approx(one_by_one(done.loaded.model, prompts, answers), abs=1e-4)
    assert mean_log_probability < 0


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_model_with_absolute_positions_and_one_without_any(batch_size: int) -> None:
    torch.manual_seed(0)
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=32, n_embd=32, n_layer=2, n_head=2)).eval()
    # Positions that matter, so that a shifted one is seen.
    gpt2.transformer.wpe.weight.data.normal_()
    mamba = MambaForCausalLM(MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, state_size=4)).eval()
    for model in (gpt2, mamba):
        wanted = one_by_one(model, IDS, ANSWERS)
        assert score(model, IDS, ANSWERS, batch_size) == pytest.approx(wanted, abs=1e-4), type(model).__name__


def test_sampling_settings_and_penalties_are_not_part_of_it(run: Runner) -> None:
    plain = run()
    other = run(decoder={"do_sample": True, "temperature": 0.3, "top_k": 2, "repetition_penalty": 1.5})
    prompts = [plain.loaded.tokenizer(text)["input_ids"] for text in PROMPTS]
    scores = [score(done.loaded.model, prompts, plain.outputs, 2) for done in (plain, other)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_requests_without_an_answer_add_nothing(run: Runner) -> None:
    done = run()
    prompts = [done.loaded.tokenizer(text)["input_ids"] for text in PROMPTS]
    some = [done.outputs[0], (), done.outputs[2]]
    wanted = score(done.loaded.model, prompts[::2], some[::2], 2)
    assert score(done.loaded.model, prompts, some, 2) == pytest.approx(wanted, abs=1e-4)


def test_a_compiled_model_is_scored_without_compiling_anything(run: Runner) -> None:
    done = run(pytorch={"torch_compile": True, "torch_compile_backend": "eager"})
    done.generator.run_pass()
    prompts = [done.loaded.tokenizer(text)["input_ids"] for text in PROMPTS]
    before = counts()
    assert math.isfinite(score(done.loaded.model, prompts, done.outputs, 3))
    # Nor does the window of the next experiment, whose compiled code is still good.
    done.generator.run_pass()
    assert since(before)["frames_seen"] == 0


def test_a_token_that_the_model_does_not_know_is_a_failure_with_a_reason(run: Runner) -> None:
    done = run()
    with pytest.raises(ExperimentFailure, match=r"token 300, but this model knows 300 tokens") as failure:
        score(done.loaded.model, [[1, 2]], [[3, 300]], 1)
    assert failure.value.stage == "score"
