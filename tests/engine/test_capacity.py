"""A model that cannot fit is refused before it is loaded; where that is not sure there is a warning at most."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.engine import capacity
from llenergymeasure.engine.capacity import Capacity, memory_problems
from llenergymeasure.models.at_hand import ModelAtHand, model_at_hand

# 8 layers of 8192 numbers: 1.6 thousand million parameters, of which nothing is made.
LARGE = "random:llama?hidden_size=4096&intermediate_size=11008&num_hidden_layers=8&vocab_size=300&dtype=bfloat16"
GB = 10**9


@pytest.fixture(scope="module")
def large() -> ModelAtHand:
    model = model_at_hand(parse_model_ref(LARGE), None, Path("none"))
    assert model is not None
    return model


def problems(model: ModelAtHand, monkeypatch: pytest.MonkeyPatch, room: int, **settings: Any) -> list[tuple[str, Any]]:
    monkeypatch.setattr(capacity, "capacity", lambda _: Capacity(room, "1 × Board", False))
    config = ExperimentConfig.model_validate({"model": LARGE, "precision": "bf16", **settings})
    return [(problem.severity, problem.rule) for problem in memory_problems(config, model)]


def test_weights_that_do_not_fit_are_refused(large: ModelAtHand, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(large, monkeypatch, 80 * GB) == []
    assert problems(large, monkeypatch, 2 * GB) == [("error", "memory-too-small")]
    assert problems(large, monkeypatch, 2 * GB, pytorch={"load_in_4bit": True}) == []
    assert problems(large, monkeypatch, 4 * GB, precision="fp32") == [("error", "memory-too-small")]


def test_the_cache_counts_and_a_length_that_is_not_known_only_warns(
    large: ModelAtHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {"pytorch": {"batch_size": 100}, "max_output_tokens": 500}
    assert problems(large, monkeypatch, 8 * GB, max_output_tokens=500) == []
    assert problems(large, monkeypatch, 8 * GB, **many) == [("error", "memory-too-small")]
    long = {"pytorch": {"batch_size": 100}, "max_output_tokens": 10, "max_input_tokens": 4000}
    assert problems(large, monkeypatch, 8 * GB, **long) == [("warning", "memory-nearly-full")]


@pytest.mark.parametrize(
    ("pytorch", "wanted"),
    [
        ({}, (10, "1 × Board", False)),
        ({"devices": 2}, (20, "2 × Board", False)),
        ({"num_processes": 2}, (10, "1 × Board", False)),
        ({"device_map": "auto"}, (30, "3 × Board", False)),
        ({"devices": 4}, None),
        ({"device_map": "auto", "max_memory": {0: "1GiB", "cpu": "9GiB"}}, None),
    ],
    ids=str,
)
def test_the_memory_is_that_of_the_gpus_that_one_process_gets(
    monkeypatch: pytest.MonkeyPatch, pytorch: dict[str, Any], wanted: tuple[int, str, bool] | None
) -> None:
    board = SimpleNamespace(total_memory=10, name="Board")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: board)
    config = ExperimentConfig.model_validate({"model": LARGE, "pytorch": pytorch})
    assert capacity.capacity(config) == (None if wanted is None else Capacity(*wanted))


def test_on_the_processor_it_is_that_of_the_machine_or_of_its_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = ExperimentConfig.model_validate({"model": LARGE, "pytorch": {"device_map": "cpu"}})
    limit = tmp_path / "memory.max"
    limit.write_text("5000000\n")
    monkeypatch.setattr(capacity, "_CGROUP", limit)
    here = capacity.capacity(config)
    assert here is not None and (here.bytes, here.on_processor) == (5_000_000, True)
    limit.write_text("max\n")
    here = capacity.capacity(config)
    assert here is not None and here.bytes > 5_000_000


@pytest.mark.parametrize(
    ("pytorch", "limited"),
    [
        ({"device_map": "cpu"}, True),
        ({"device_map": {"": "cpu"}}, True),
        ({"device_map": {"model": "disk", "lm_head": "cpu"}}, False),
        ({"max_memory": {"cpu": "1GiB"}}, False),
    ],
    ids=str,
)
def test_layers_that_may_stay_on_the_disk_are_not_limited_by_memory(pytorch: dict[str, Any], limited: bool) -> None:
    config = ExperimentConfig.model_validate({"model": LARGE, "pytorch": pytorch})
    assert (capacity.capacity(config) is not None) is limited


def test_a_configuration_that_nothing_can_be_computed_from_is_left_to_loading(
    large: ModelAtHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = copy.deepcopy(large.config)
    broken.num_hidden_layers = -2
    assert problems(replace(large, config=broken), monkeypatch, 2 * GB) == []
