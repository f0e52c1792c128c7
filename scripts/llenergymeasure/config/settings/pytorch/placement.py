"""Where the model is placed: devices, memory, processes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.parameter import LibraryChoice, Requirement, When, excludes, needs, parameter

AUTOMATIC_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
_DEVICE = re.compile(r"(cpu|mps|(cuda|xpu|npu|hpu)(:\d+)?)")
_SIZE = re.compile(r"\d+(\.\d+)?\s?[KMG]i?B", re.IGNORECASE)


def _device_map(value: str | dict[str, int | str] | None) -> str | dict[str, int | str] | None:
    if isinstance(value, str) and value not in AUTOMATIC_MAPS and not _DEVICE.fullmatch(value):
        raise ValueError(
            f"is {value!r}; use one of {', '.join(AUTOMATIC_MAPS)}, a device such as cpu or cuda:0, "
            "or a mapping from module to device"
        )
    return value


def _numbered_devices(value: Any) -> Any:
    """JSON has no number keys: plan.json returns a device index as text."""
    if not isinstance(value, Mapping):
        return value
    return {int(key) if isinstance(key, str) and key.isdigit() else key: size for key, size in value.items()}


def _sizes(value: dict[int | str, int | str] | None) -> dict[int | str, int | str] | None:
    if value == {}:
        raise ValueError("is empty; name a device such as 0: 10GiB, or remove it")
    for device, size in (value or {}).items():
        if isinstance(size, str) and not _SIZE.fullmatch(size):
            raise ValueError(
                f"gives {device} the size {size!r}; write a number of bytes, or text such as 10GiB or 800MB"
            )
        if isinstance(device, str) and device not in ("cpu", "disk", "mps"):
            raise ValueError(f"names the device {device!r}; use a device number, cpu, mps or disk")
    return value


class PlacementSettings(Config):
    """Devices and processes."""

    devices: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="runtime",
            keyword="CUDA_VISIBLE_DEVICES of the worker",
            level="setup",
            library_default=LibraryChoice(
                "1; all visible GPUs for an automatic device_map, a mapping or max_memory; one per process of "
                "num_processes or tp_size"
            ),
            evidence="devices",
            relations=(
                excludes(
                    When("pytorch.num_processes", "above", 1),
                    rule="devices-exclude-processes",
                    because="each process takes one GPU",
                    fix="remove pytorch.devices",
                ),
                excludes(
                    When("pytorch.tp_size", "above", 1),
                    rule="devices-exclude-tensor-parallel",
                    because="each process takes one GPU",
                    fix="remove pytorch.devices",
                ),
            ),
            requires=(Requirement(as_many_devices=True),),
            untried="needs GPUs",
        ),
    ] = None
    """The number of GPUs that the model gets and sees, as cuda:0 and so on. With more than one, accelerate spreads the
    layers over them (`device_map: auto`), and they work one after the other: for models that do not fit on one GPU."""

    device_map: Annotated[
        str | dict[str, int | str] | None,
        AfterValidator(_device_map),
        parameter(
            target="from_pretrained",
            keyword="device_map",
            level="setup",
            library_default=LibraryChoice(
                "this pipeline passes cuda:0 (the one GPU that the setup claims), auto with more than one in "
                "pytorch.devices, and the CPU without a GPU"
            ),
            evidence="device_map",
            test_values=("auto", "cpu"),
        ),
    ] = None
    """Where the model is placed: a strategy, a device, or a mapping from module to device. Devices are numbered from 0
    among the GPUs that the setup claims (`devices`). Only a mapping to `cpu` or `disk`, or `max_memory` with `cpu`,
    may place layers off the GPU; an experiment fails if a strategy does so unasked."""

    max_memory: Annotated[
        dict[int | str, int | str] | None,
        BeforeValidator(_numbered_devices, json_schema_input_type=dict[str, int | str] | None),
        AfterValidator(_sizes),
        parameter(
            target="from_pretrained",
            keyword="max_memory",
            level="setup",
            library_default=LibraryChoice("all memory of every GPU that the setup claims"),
            evidence="max_memory",
            test_values=({"cpu": "8GiB"},),
        ),
    ] = None
    """The maximum memory for the weights on each device: number or `cpu` → size such as 10GiB."""

    num_processes: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="runtime",
            keyword="processes of accelerate's PartialState",
            level="setup",
            library_default=1,
            evidence="replicas",
            relations=(
                excludes(
                    When("pytorch.device_map", "set", True),
                    rule="processes-exclude-device-map",
                    because="each process holds a whole model on its own device",
                    fix="remove one of the two settings",
                    neutral=(1,),
                ),
                excludes(
                    When("pytorch.max_memory", "set", True),
                    rule="processes-exclude-max-memory",
                    because="each process holds a whole model on its own device",
                    fix="remove one of the two settings",
                    neutral=(1,),
                ),
            ),
            test_values=(1, 2),
        ),
    ] = None
    """Data-parallel processes, each with a whole model on its own device and an equal share of the prompts (through
    accelerate). Times and energy cover all of them together. On a CPU the cores are divided among them."""

    tp_plan: Annotated[
        Literal["auto"] | None,
        parameter(
            target="distributed",
            keyword="tp_plan",
            level="setup",
            library_default=LibraryChoice("the model's own plan, if tp_size asks for one"),
            evidence="tp_plan",
            relations=(
                needs(
                    When("pytorch.tp_size", "above", 1),
                    rule="tp-plan-needs-size",
                    because="a single process has nothing to divide",
                    fix="set pytorch.tp_size to 2 or more, or remove this setting",
                ),
            ),
            test_values=("auto",),
        ),
    ] = None
    """How weights are divided among the processes of `tp_size`: the model's own plan."""

    tp_size: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="distributed",
            keyword="tp_size",
            level="setup",
            library_default=1,
            evidence="tp_size",
            relations=(
                excludes(
                    When("pytorch.num_processes", "above", 1),
                    rule="tensor-or-data-parallel",
                    because="processes either share one model or hold one each",
                    fix="remove one of the two settings",
                    neutral=(1,),
                ),
                excludes(
                    When("pytorch.device_map", "set", True),
                    rule="tensor-parallel-excludes-device-map",
                    because="the plan decides where each part of a weight is placed",
                    fix="remove one of the two settings",
                    neutral=(1,),
                ),
                excludes(
                    When("pytorch.max_memory", "set", True),
                    rule="tensor-parallel-excludes-max-memory",
                    because="the plan decides where each part of a weight is placed",
                    fix="remove one of the two settings",
                    neutral=(1,),
                ),
            ),
            test_values=(2,),
        ),
    ] = None
    """Tensor parallelism: this many processes, each on its own device, hold a part of every divided weight and
    generate every prompt together."""
