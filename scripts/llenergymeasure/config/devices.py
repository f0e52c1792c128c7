"""How many GPUs a model setup claims, and where its settings put the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llenergymeasure.config.settings.pytorch.placement import AUTOMATIC_MAPS

OFF_THE_GPU = ("cpu", "disk")


def devices_claimed(pytorch: Mapping[str, Any]) -> int | None:
    """How many GPUs a model setup gets and sees, by its settings below `pytorch`: one, unless they say otherwise.

    None where the library may use all that are visible; 0 where the model is on the processor.
    """
    if on_processor(pytorch):
        return 0
    if (devices := pytorch.get("devices")) is not None:
        return int(devices)
    if (processes := pytorch.get("num_processes") or pytorch.get("tp_size") or 1) > 1:
        return int(processes)
    device_map = pytorch.get("device_map")
    if (number := single_device(device_map)) is not None:
        return number + 1
    if device_map is None and pytorch.get("max_memory") is None:
        return 1
    return None


def on_processor(pytorch: Mapping[str, Any]) -> bool:
    """Whether the settings ask for the processor: every place they name is the processor or the disk."""
    device_map, max_memory = pytorch.get("device_map"), pytorch.get("max_memory") or {}
    if device_map is None or device_map in AUTOMATIC_MAPS:
        return bool(max_memory) and all(device in OFF_THE_GPU for device in max_memory)
    places = device_map.values() if isinstance(device_map, Mapping) else [device_map]
    return all(place in OFF_THE_GPU for place in places)


def asks_for_offloading(pytorch: Mapping[str, Any]) -> bool:
    """Whether the settings put any layer elsewhere than on a GPU."""
    device_map = pytorch.get("device_map")
    places = [*device_map.values()] if isinstance(device_map, Mapping) else []
    return any(place in OFF_THE_GPU for place in [*places, *(pytorch.get("max_memory") or ())])


def asks_for_disk(pytorch: Mapping[str, Any]) -> bool:
    """Whether the settings let layers of a model on the processor stay on the disk."""
    device_map = pytorch.get("device_map")
    places = device_map.values() if isinstance(device_map, Mapping) else [device_map]
    return "disk" in places or bool(pytorch.get("max_memory"))


def single_device(device_map: Any) -> int | None:
    """The number of the one device that a `device_map` names, 0 where it names a kind of device; otherwise None."""
    if not isinstance(device_map, str) or device_map in AUTOMATIC_MAPS:
        return None
    return int(device_map.partition(":")[2] or 0)


def devices_named(pytorch: Mapping[str, Any]) -> set[int]:
    """Numbers of the GPUs that a mapping in `device_map` or `max_memory` names."""
    device_map, max_memory = pytorch.get("device_map"), pytorch.get("max_memory")
    named = [*device_map.values()] if isinstance(device_map, Mapping) else []
    named += [*max_memory] if isinstance(max_memory, Mapping) else []
    numbers = (str(device).rpartition(":")[2] for device in named)
    return {int(number) for number in numbers if number.isdigit()}
