"""How many GPUs a setup claims, by its settings."""

from __future__ import annotations

from typing import Any

import pytest

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.devices import asks_for_offloading, devices_claimed, on_processor


@pytest.mark.parametrize(
    ("settings", "claimed"),
    [
        ({}, 1),
        ({"devices": 1}, 1),
        ({"devices": 4}, 4),
        ({"device_map": "auto", "devices": 2}, 2),
        ({"device_map": "auto"}, None),
        ({"device_map": "balanced"}, None),
        ({"device_map": {"model": 0, "lm_head": 1}}, None),
        ({"device_map": {"model": 0, "lm_head": "cpu"}}, None),
        ({"max_memory": {0: "10GiB"}}, None),
        ({"max_memory": {0: "10GiB", "cpu": "10GiB"}, "devices": 1}, 1),
        ({"device_map": "cuda"}, 1),
        ({"device_map": "cuda:0"}, 1),
        ({"device_map": "cuda:2"}, 3),
        ({"device_map": "cpu"}, 0),
        ({"device_map": {"model": "cpu", "lm_head": "disk"}}, 0),
        ({"max_memory": {"cpu": "10GiB"}}, 0),
        ({"num_processes": 3}, 3),
        ({"num_processes": 1}, 1),
        ({"tp_size": 2}, 2),
    ],
)
def test_a_setup_claims_what_its_settings_need(settings: dict[str, Any], claimed: int | None) -> None:
    assert devices_claimed(pytorch(settings)) == claimed


@pytest.mark.parametrize(
    ("settings", "processor", "offloading"),
    [
        ({}, False, False),
        ({"device_map": "auto"}, False, False),
        ({"device_map": "cpu"}, True, False),
        ({"device_map": {"": 0}}, False, False),
        ({"device_map": {"model": 0, "lm_head": "disk"}}, False, True),
        ({"max_memory": {0: "1GiB", "cpu": "1GiB"}}, False, True),
        ({"max_memory": {0: "1GiB"}}, False, False),
    ],
)
def test_only_names_of_the_processor_and_the_disk_ask_for_them(
    settings: dict[str, Any], processor: bool, offloading: bool
) -> None:
    assert (on_processor(pytorch(settings)), asks_for_offloading(pytorch(settings))) == (processor, offloading)


@pytest.mark.parametrize(
    ("settings", "rule", "said"),
    [
        ({"devices": 2, "num_processes": 2}, "devices-exclude-processes", "each process takes one GPU"),
        ({"devices": 2, "tp_size": 2}, "devices-exclude-tensor-parallel", "each process takes one GPU"),
        ({"devices": 2, "device_map": "cuda:0"}, "devices-clash-with-map", "the one device of pytorch.device_map"),
        ({"devices": 1, "device_map": "cpu"}, "devices-clash-with-map", "the one device"),
        ({"devices": 2, "device_map": {"a": 0, "b": "cuda:2"}}, "devices-clash-with-map", "the study names GPU 2"),
        ({"devices": 1, "max_memory": {0: "1GiB", 1: "1GiB"}}, "devices-clash-with-map", "the study names GPU 1"),
    ],
)
def test_a_number_of_gpus_that_other_settings_contradict_is_refused(
    settings: dict[str, Any], rule: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        ExperimentConfig.model_validate({"model": "random:llama", "pytorch": settings})
    assert rule in str(refused.value)


def pytorch(settings: dict[str, Any]) -> dict[str, Any]:
    config = ExperimentConfig.model_validate({"model": "random:llama", "pytorch": settings})
    return config.model_dump(mode="json")["pytorch"]
