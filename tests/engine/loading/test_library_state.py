"""What the libraries keep on a model is put back, and what nobody knew of is pointed out."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from engine.cases import TINY_DRAFT
from engine.conftest import Runner
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.cache_utils import StaticLayer

from llenergymeasure.engine.evidence import Observation, observe
from llenergymeasure.engine.loading.library_state import LibraryState

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}


def rotary_model(kind: str) -> Any:
    torch.manual_seed(0)
    more = {"dynamic": {"factor": 4.0}, "longrope": {"short_factor": [1.0] * 4, "long_factor": [3.0] * 4}}[kind]
    parameters = {"rope_type": kind, "rope_theta": 10000.0, "original_max_position_embeddings": 16, **more}
    return LlamaForCausalLM(LlamaConfig(**SIZES, max_position_embeddings=16, rope_parameters=parameters)).eval()


def logits(model: Any, length: int) -> torch.Tensor:
    ids = torch.arange(length)[None] % 100
    with torch.no_grad():
        scores: torch.Tensor = model(ids).logits
    return scores


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_a_long_sequence_leaves_no_trace_in_the_rotary_embedding(kind: str) -> None:
    """A sequence beyond the original length, after one that is far beyond."""
    alone = logits(rotary_model(kind), 24)
    model = rotary_model(kind)
    state = LibraryState(model)
    logits(model, 96)
    if kind == "dynamic":
        assert not torch.equal(logits(model, 24), alone), "the library keeps nothing any more"
    state.reset()
    assert torch.equal(logits(model, 24), alone)


def test_the_draft_model_guesses_as_many_tokens_as_at_first(run: Runner) -> None:
    done = run(pytorch={"assistant_model": TINY_DRAFT})
    drafter = done.loaded.assistant
    drafter.generation_config.num_assistant_tokens_schedule = "heuristic"
    state = LibraryState(done.loaded.model, drafter)
    before = drafter.generation_config.num_assistant_tokens
    done.generator.run_pass()
    assert drafter.generation_config.num_assistant_tokens != before, "the library keeps nothing any more"
    state.reset()
    assert drafter.generation_config.num_assistant_tokens == before


def test_the_compiler_forgets_the_shapes_of_the_experiment_before(run: Runner) -> None:
    done = run(pytorch={"torch_compile": True, "torch_compile_backend": "eager"})
    compiled = done.observation.compile_counts["frames_compiled"]
    assert compiled > 0
    again = Observation(loaded=done.loaded)
    observe(again, done.generator)
    assert again.compile_counts["frames_compiled"] != compiled, "the compiler keeps nothing any more"
    done.loaded.state.reset()
    afresh = Observation(loaded=done.loaded)
    observe(afresh, done.generator)
    assert afresh.compile_counts["frames_compiled"] == compiled


def test_a_compiler_that_cannot_be_reset_is_a_warning(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older torch asserts in a thread without managers of CUDA graphs; what was measured is not lost for that."""
    state = run(pytorch={"torch_compile": True, "torch_compile_backend": "eager"}).loaded.state

    def refuses() -> None:
        raise AssertionError("no such key in thread-local storage")

    with monkeypatch.context() as broken:
        broken.setattr(torch._dynamo, "reset", refuses)
        state.reset()
    (warning,) = state.warnings()
    assert warning["code"] == "compiler-not-reset" and "no such key" in warning["message"]
    state.reset()
    assert state.warnings() == []


def test_something_else_that_a_library_keeps_is_pointed_out(run: Runner) -> None:
    loaded = run(pytorch={"cache_implementation": "static"}).loaded
    assert loaded.model._previous_max_cache_length > 0
    assert loaded.state.warnings() == []
    loaded.model._longest_prompt_so_far = 48
    (warning,) = loaded.state.warnings()
    assert warning["code"] == "state-left-behind"
    assert "_longest_prompt_so_far" in warning["message"]
    assert "_previous_max_cache_length" not in warning["message"]


def test_the_cache_of_a_compiling_pass_is_gone_after_it(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler leaves it in a reference cycle; Python would collect that at any later moment."""
    made: list[Any] = []
    kept = StaticLayer.lazy_initialization

    def spied(layer: Any, *arguments: Any, **keywords: Any) -> None:
        kept(layer, *arguments, **keywords)
        made.append(weakref.ref(layer.keys))

    monkeypatch.setattr(StaticLayer, "lazy_initialization", spied)
    gc.collect()
    gc.disable()
    try:
        run(pytorch={"torch_compile": True, "torch_compile_backend": "eager", "cache_implementation": "static"})
        assert made
        assert [reference() for reference in made if reference() is not None] == []
    finally:
        gc.enable()
