"""What the evidence says of the GPUs that hold a model. The model is real; where its parameters lie is made up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from engine.conftest import Runner

from llenergymeasure.engine.evidence import PROBES


def on(*devices: str, given: Any = None) -> Any:
    """An observation of a model with a parameter on each of these."""
    held = [SimpleNamespace(device=torch.device(device)) for device in devices]
    model = SimpleNamespace(parameters=lambda: held, hf_device_map={"": 0} if len(devices) == 1 else {"model": 0})
    return SimpleNamespace(model=model, loaded=SimpleNamespace(load_keywords={"device_map": given}))


@pytest.mark.parametrize(
    ("places", "requested", "agrees"),
    [
        (("cuda:0",), None, True),
        (("cuda:0",), 1, True),
        (("cuda:0", "cuda:1"), 2, True),
        # More were asked for than hold anything.
        (("cuda:0",), 2, False),
        (("cpu",), 1, False),
    ],
)
def test_the_gpus_that_hold_parameters_are_counted(places: tuple[str, ...], requested: int, agrees: bool) -> None:
    probe_result = PROBES["devices"](on(*places), requested)
    assert probe_result.effective == len([place for place in places if place != "cpu"])
    assert probe_result.agrees is agrees and probe_result.observed.startswith("parameters on ")


def test_a_model_on_several_boards_is_said_to_be_split() -> None:
    probe_result = PROBES["device_map"](on("cuda:0", "cuda:1", given="auto"), None)
    assert probe_result.observed.startswith(
        "split over 2 boards, which work one after the other: parameters on cuda:0, cuda:1"
    )
    assert probe_result.effective == "auto"
    assert "split" not in PROBES["device_map"](on("cuda:0", given={"": 0}), None).observed


@pytest.mark.parametrize(
    ("places", "requested", "agrees"),
    [
        # The library keeps no map of its own where everything is on one device.
        ({"model.a": "cpu", "lm_head": "cpu"}, {"": "cpu"}, True),
        ({"model.a": "cpu", "lm_head": "cpu"}, {"model": "cpu", "lm_head": "cpu"}, True),
        ({"model.a": "cpu", "lm_head": "cpu"}, {"model": "cpu", "lm_head": 0}, False),
        ({"model.a": "cuda:0", "lm_head": "cuda:0"}, {"": "cuda:0"}, True),
        ({"model.a": "cuda:0", "lm_head": "cuda:1"}, {"": 0, "lm_head": 1}, True),
        ({"model.a": "cuda:0", "lm_head": "cuda:0"}, {"": 0, "lm_head": 1}, False),
        ({"model.a": "meta", "lm_head": "cuda:0"}, {"": 0, "model": "cpu"}, True),
        ({"model.a": "meta", "lm_head": "cuda:0"}, {"": 0, "model": "disk"}, False),
        ({"model.a": "cpu", "lm_head": "cpu"}, {"": "disk"}, False),
    ],
)
def test_a_mapping_is_compared_with_where_the_parameters_are(
    places: dict[str, str], requested: dict[str, Any], agrees: bool
) -> None:
    held = [(f"{module}.weight", SimpleNamespace(device=torch.device(place))) for module, place in places.items()]
    model = SimpleNamespace(named_parameters=lambda: held, parameters=lambda: [item for _, item in held])
    model.hf_device_map = {"model": "cpu", "lm_head": 0} if "meta" in places.values() else None
    probe_result = PROBES["device_map"](SimpleNamespace(model=model), requested)
    assert probe_result.agrees is agrees
    assert (probe_result.effective == requested) is agrees


def test_a_mapping_of_the_whole_model_to_the_processor_is_applied(run: Runner) -> None:
    entry = run(pytorch={"device_map": {"": "cpu"}}).evidence["pytorch.device_map"]
    assert (entry["verdict"], entry["effective"]) == ("applied", {"": "cpu"})


def test_the_default_says_what_was_passed(run: Runner) -> None:
    assert PROBES["device_map"](on("cuda:0", given={"": 0}), None).effective == "cuda:0"
    evidence = run().evidence
    assert evidence["pytorch.device_map"]["effective"] == "auto"
    assert evidence["pytorch.devices"]["effective"] == 0 and evidence["pytorch.devices"]["verdict"] == "default"
