"""Finding the NVIDIA boards that CUDA will use and learning how their counters tick."""

from __future__ import annotations

from collections.abc import Sequence

import pynvml

from llenergymeasure.energy.integration.ticks import characterise
from llenergymeasure.energy.meter import MeterContext, MeterUnavailable
from llenergymeasure.energy.meters.nvml.boards import list_boards
from llenergymeasure.energy.meters.nvml.device import NvmlDevice
from llenergymeasure.energy.meters.nvml.meter import NvmlMeter
from llenergymeasure.energy.meters.nvml.visible_devices import Board, Selection, select_boards


def open_nvml(context: MeterContext) -> NvmlMeter:
    """Find the boards CUDA will use and learn how their counters tick (about half a second).

    Raises:
        MeterUnavailable: no driver, no visible GPU, or none that can be metered.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise MeterUnavailable("nvml", f"NVML does not start: {error}") from error
    try:
        return _open(context)
    except pynvml.NVMLError as error:
        pynvml.nvmlShutdown()
        raise MeterUnavailable("nvml", f"NVML fails: {error}") from error
    except MeterUnavailable:
        pynvml.nvmlShutdown()
        raise


def _open(context: MeterContext) -> NvmlMeter:
    listed = list_boards()
    selection = select_boards(listed.boards, context.environment)
    selection.refused += listed.unreadable
    candidates = selection.boards
    if selection.order_uncertain:
        # CUDA may take another board than the one metered so far: `restrict` must be able to follow it.
        candidates = [board for board in listed.boards if not board.mig_enabled]
    opened = [NvmlDevice(board, listed.handles[board.uuid], context.clock) for board in candidates]
    devices = [device for device in opened if not (device.counter_missing and device.power_missing)]
    selection.refused += [
        (device.uuid, f"neither counter nor power can be read: {device.counter_missing}; {device.power_missing}")
        for device in opened
        if device not in devices
    ]
    visible = [device for device in devices if device.board in selection.boards]
    if not visible:
        raise MeterUnavailable("nvml", _why_none(selection, listed.boards, context))
    for code, message in selection.caveats:
        context.warn(code, message)
    counters = {device.uuid: device.energy_mj for device in devices if not device.counter_missing}
    periods = characterise(counters, context.clock)
    for device in devices:
        device.tick_period = periods.get(device.uuid)
        if device.superchip:
            context.warn("nvml-counter-refused", f"{device.uuid} is {device.counter_missing}")
        elif device.counter_missing:
            context.warn(
                "nvml-counter-missing",
                f"{device.uuid} has no total-energy counter ({device.counter_missing}); power is integrated instead",
            )
        if device.missing:
            sensors = "; ".join(f"{name}: {answer}" for name, answer in device.missing.items())
            context.warn("nvml-sensor-missing", f"{device.uuid} does not report its {sensors}")
    return NvmlMeter(context, devices, visible, selection)


def _why_none(selection: Selection, boards: Sequence[Board], context: MeterContext) -> str:
    if selection.refused:
        return "; ".join(f"{device}: {reason}" for device, reason in selection.refused)
    if not boards:
        return "the driver lists no GPU"
    return f"CUDA_VISIBLE_DEVICES={context.environment.get('CUDA_VISIBLE_DEVICES')} hides every GPU"
