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


def test_the_default_says_what_was_passed(run: Runner) -> None:
    assert PROBES["device_map"](on("cuda:0", given={"": 0}), None).effective == "cuda:0"
    evidence = run().evidence
    assert evidence["pytorch.device_map"]["effective"] == "auto"
    assert evidence["pytorch.devices"]["effective"] == 0 and evidence["pytorch.devices"]["verdict"] == "default"
