"""A model whose logits are NaN picks token 0 for ever, at full speed: the instrumented pass counts such rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from edited_models import filled, model_folder, rewrite
from engine.cases import TINY_DRAFT
from engine.conftest import Runner

from llenergymeasure.engine.evidence.finite_logits import FiniteLogits

WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "batch": {"batch_size": 3},
    "continuous": {"batching": "continuous"},
    "beams": {"num_beams": 2},
    "prompt-lookup": {"prompt_lookup_num_tokens": 2},
    "draft": {"assistant_model": TINY_DRAFT},
    "compiled": {"torch_compile": True, "torch_compile_backend": "eager"},
    "static-cache": {"cache_implementation": "static"},
    "inference-mode": {"inference_mode": True},
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = model_folder(tmp_path_factory.mktemp("nan") / "model")
    rewrite(folder / "model.safetensors", filled(r"layers\.0\.self_attn\.q_proj", float("nan")))
    return str(folder)


@pytest.mark.parametrize("way", WAYS)
def test_nan_is_seen_however_tokens_are_generated(run: Runner, broken: str, way: str) -> None:
    heard = run(model=broken, pytorch=WAYS[way]).observation.heard
    assert heard is not None
    assert heard.logits.bad_rows > 0


@pytest.mark.parametrize("way", WAYS)
def test_a_sound_model_has_no_such_row_and_generates_what_it_did(run: Runner, way: str) -> None:
    done = run(pytorch=WAYS[way])
    assert done.observation.heard is not None
    assert done.observation.heard.logits.rows > 0
    assert done.observation.heard.logits.bad_rows == 0
    done.generator.run_pass()
    plain = [request.row.output_ids for request in done.generator.read(done.generator.take_raw())]
    done.generator.close()
    assert plain == done.outputs


def test_processors_that_ban_tokens_are_not_a_fault_of_the_model(run: Runner) -> None:
    done = run(decoder={"do_sample": True, "top_k": 2}, passthrough_kwargs={"generate": {"suppress_tokens": [5, 6]}})
    assert done.observation.heard is not None
    assert done.observation.heard.logits.bad_rows == 0


def test_rows_with_nan_or_plus_infinity_count_and_single_minus_infinities_do_not() -> None:
    inf, nan = float("inf"), float("nan")
    check = FiniteLogits()
    scores = torch.tensor([[0.0, -inf, 3.0], [0.0, nan, 3.0], [inf, 1.0, -inf], [-inf, -inf, -inf], [1.0, 2.0, 3.0]])
    assert check(torch.zeros(5, 1, dtype=torch.long), scores) is scores
    assert (check.rows, check.bad_rows) == (5, 3)
