"""The comparison of outputs, on token ids written by hand; and the file that keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from harness import TINY
from measurement.experiments import config

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.engine.generation.batches import Row
from llenergymeasure.engine.generation.generation import Request
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement.output_match import (
    compare_outputs,
    equal_token_share,
    first_difference,
    varying_outputs,
)
from llenergymeasure.measurement.session import Session
from llenergymeasure.models.snapshot import materialise
from llenergymeasure.records.storage.outputs import read_outputs, write_outputs

PROMPTS = [[1, 2], [3]]


def reference(*outputs: list[int], prompts: list[list[int]] = PROMPTS) -> dict[str, Any]:
    rows = [{"prompt_ids": ids, "output_ids": output} for ids, output in zip(prompts, outputs, strict=False)]
    return {"experiment_id": "theirs", "outputs": rows}


def test_the_same_tokens_are_identical() -> None:
    comparison = compare_outputs(reference([5, 6, 7], [8]), PROMPTS, [(5, 6, 7), (8,)])
    assert comparison == {
        "reference": "theirs",
        "comparable": True,
        "reason": None,
        "requests": 2,
        "identical": True,
        "identical_requests": 2,
        "first_difference": None,
        "equal_token_share": 1.0,
        "reference_tokens": 4,
        "reference_logprob_mean": None,
        "logprob_reason": None,
    }


def test_the_earliest_difference_of_all_requests_counts() -> None:
    comparison = compare_outputs(reference([5, 6, 7, 8], [5, 6, 7, 8]), PROMPTS, [[5, 6, 7, 9], [5, 0, 7, 8]])
    assert comparison["identical"] is False
    assert comparison["identical_requests"] == 0
    assert comparison["first_difference"] == 1
    # A token that agrees again behind a difference is equal.
    assert comparison["equal_token_share"] == pytest.approx(6 / 8)


def test_a_difference_in_the_first_token_has_index_zero() -> None:
    comparison = compare_outputs(reference([5], [6]), PROMPTS, [[5], [7]])
    assert (comparison["identical"], comparison["first_difference"], comparison["identical_requests"]) == (False, 0, 1)


@pytest.mark.parametrize(("one", "other"), [([1, 2], [1, 2, 3, 4]), ([1, 2, 3, 4], [1, 2])])
def test_what_only_one_of_the_two_has_is_different(one: list[int], other: list[int]) -> None:
    assert first_difference(one, other) == 2
    assert equal_token_share([(one, other)]) == 0.5


def test_outputs_without_tokens_are_the_same() -> None:
    assert first_difference([], []) is None
    assert equal_token_share([([], [])]) == 1.0


def test_other_prompts_are_not_compared_and_the_reason_says_so() -> None:
    for mine, words in (([[1, 2], [4]], "1 of 2 have other tokens, the first is number 1"), ([[1, 2]], "1, the ref")):
        comparison = compare_outputs(reference([5], [6]), mine, [[5]] * len(mine))
        assert comparison["comparable"] is False
        assert "other prompts" in comparison["reason"]
        assert words in comparison["reason"]
        figures = set(comparison) - {"reference", "comparable", "reason"}
        assert {comparison[name] for name in figures} == {None}


def test_a_reference_that_failed_is_named_as_the_reason() -> None:
    comparison = compare_outputs(reference(), PROMPTS, [[5], [6]])
    assert comparison["comparable"] is False
    assert "the reference experiment failed" in comparison["reason"]
    assert comparison["identical"] is None


def test_outputs_survive_the_file_and_a_failed_experiment_has_none(tmp_path: Path) -> None:
    path = tmp_path / "outputs.parquet"
    rows = [
        {"experiment_id": "b", "request_index": 0, "prompt_ids": [9], "output_ids": [1]},
        {"experiment_id": "a", "request_index": 1, "prompt_ids": [3], "output_ids": []},
        {"experiment_id": "a", "request_index": 0, "prompt_ids": [1, 2], "output_ids": [5, 6]},
    ]
    write_outputs(rows, path)
    assert read_outputs(path, "a") == [
        {"prompt_ids": [1, 2], "output_ids": [5, 6]},
        {"prompt_ids": [3], "output_ids": []},
    ]
    assert read_outputs(path, "c") == []
    types = [str(field.type) for field in pq.read_schema(path)]
    write_outputs([], path)
    assert read_outputs(path, "a") == []
    assert pq.read_schema(path).names == ["experiment_id", "request_index", "prompt_ids", "output_ids"]
    assert [str(field.type) for field in pq.read_schema(path)] == types
    assert types[1] == "int32"


def request(pass_index: int, request_index: int, *output_ids: int) -> Request:
    return Request(
        pass_index=pass_index,
        request_index=request_index,
        batch_index=0,
        input_tokens=2,
        row=Row(output_ids, stop_reason="length", trailing_pads=0),
        padded_tokens=0,
        ttft_s=0.1,
        itl_s=(),
        e2e_latency_s=0.2,
    )


def test_passes_with_the_same_outputs_give_no_warning() -> None:
    requests = [request(turn, place, 5, 6, place) for turn in range(3) for place in range(2)]
    assert varying_outputs(requests, [], sampled=False) == []


def test_passes_with_different_outputs_give_a_warning() -> None:
    """As on an H100, with greedy decoding: the same prompts, the same seed, another token near the end."""
    requests = [request(0, 0, 5, 6), request(0, 1, 7, 8), request(1, 0, 5, 6), request(1, 1, 7, 9)]
    (warning,) = varying_outputs(requests, [], sampled=False)
    assert warning["code"] == "outputs-vary"
    assert warning["message"].startswith("1 of 2 requests have a different output in a later pass, with the same seed")


def test_sampled_passes_differ_by_design_and_only_the_first_is_held_against_the_warm_up() -> None:
    requests = [request(0, 0, 5, 6), request(0, 1, 7), request(1, 0, 1, 2), request(1, 1, 3, 4, 5)]
    assert varying_outputs(requests, [(5, 6), (7,)], sampled=True) == []
    (warning,) = varying_outputs(requests, [(5, 6), (8,)], sampled=True)
    assert warning["message"].startswith("1 of 2 requests")


@pytest.mark.slow
def test_sampled_replicates_share_their_first_pass_and_no_other(tmp_path: Path) -> None:
    """The digest that replicates are compared by is equal, the window is over other outputs, and nobody warns of it."""
    sampled = config(fixed_output=False, decoder={"do_sample": True}, baseline={"enabled": False})
    made = materialise(parse_model_ref(TINY), None, tmp_path / "snapshot", lock=ModelsLock())
    session = Session(Alone())
    try:
        loaded = session.load(config=sampled, snapshots={"model": str(made.path)}, compile_cache=None)
        calibration = loaded.warmup(config=sampled, min_window_s=0.05, energy_resolution=0.5)
        calibration["measured_passes"] = 3
        theirs = {"experiment_id": "x", "outputs": calibration["outputs"]}
        done = [
            loaded.measure(config=sampled, calibration=calibration, reference=theirs, replicate=number)
            for number in (1, 2)
        ]
    finally:
        session.close()
    digests = [
        [{row["output_digest"] for row in one["requests"] if row["pass_index"] == number} for number in range(3)]
        for one in done
    ]
    assert digests[0][0] == digests[1][0]
    assert len({frozenset(outputs) for outputs in (*digests[0], *digests[1][1:])}) == 5
    for one in done:
        assert one["record"]["output_match"]["identical"] is True
        assert one["record"]["evidence"]["random_seed"]["verdict"] == "applied"
        assert "outputs-vary" not in {item["code"] for item in one["record"]["warnings"]}
