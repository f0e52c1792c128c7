"""NVIDIA boards: the total-energy counter where there is one, else integrated power."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import pynvml

from llenergymeasure.energy.counter_energy import SOURCE as COUNTER_SOURCE
from llenergymeasure.energy.counter_energy import CounterWindow, counter_entry
from llenergymeasure.energy.integrated_power import SOURCE as POWER_SOURCE
from llenergymeasure.energy.integrated_power import power_entry
from llenergymeasure.energy.ledger import Finished, LedgerEntry, Span
from llenergymeasure.energy.meter import MeterContext, MeterUnavailable
from llenergymeasure.energy.nvml_device import NvmlDevice
from llenergymeasure.energy.power_sampler import PowerSample, PowerSampler
from llenergymeasure.energy.ticks import Reading, characterise, read_now, wait_for_tick
from llenergymeasure.energy.visible_devices import Board, Selection, select_boards

# More than two periods of the slowest counter seen (100 ms); longer would cool the device before every
# window.
TICK_TIMEOUT_S = 0.25


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
    handles: dict[str, Any] = {}
    boards: list[Board] = []
    unreadable: list[tuple[str, str]] = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            uuid = pynvml.nvmlDeviceGetUUID(handle)
            boards.append(Board(index, uuid, pynvml.nvmlDeviceGetName(handle), _mig_enabled(handle)))
            handles[uuid] = handle
        except pynvml.NVMLError as error:
            unreadable.append((f"GPU {index}", str(error)))
    selection = select_boards(boards, context.environment)
    selection.refused += unreadable
    candidates = selection.boards
    if selection.order_uncertain:
        # CUDA may take another board than the one metered so far: `restrict` must be able to follow it.
        candidates = [board for board in boards if not board.mig_enabled]
    opened = [NvmlDevice(board, handles[board.uuid]) for board in candidates]
    devices = [device for device in opened if not (device.counter_missing and device.power_missing)]
    selection.refused += [
        (device.uuid, f"neither counter nor power can be read: {device.power_missing}")
        for device in opened
        if device not in devices
    ]
    visible = [device for device in devices if device.board in selection.boards]
    if not visible:
        raise MeterUnavailable("nvml", _why_none(selection, boards, context))
    for code, message in selection.caveats:
        context.warn(code, message)
    counters = {device.uuid: device.energy_mj for device in devices if not device.counter_missing}
    periods_s = characterise(counters)
    for device in devices:
        device.tick_period_s = periods_s.get(device.uuid)
        if device.counter_missing:
            context.warn(
                "nvml_counter_missing",
                f"{device.uuid} has no total-energy counter ({device.counter_missing}); power is integrated instead",
            )
    return NvmlMeter(context, devices, visible, selection)


def _mig_enabled(handle: Any) -> bool:
    try:
        return bool(pynvml.nvmlDeviceGetMigMode(handle)[0] == pynvml.NVML_DEVICE_MIG_ENABLE)
    except pynvml.NVMLError:
        return False  # boards that know nothing of MIG


def _why_none(selection: Selection, boards: Sequence[Board], context: MeterContext) -> str:
    if selection.refused:
        return "; ".join(f"{device}: {reason}" for device, reason in selection.refused)
    if not boards:
        return "the driver lists no GPU"
    return f"CUDA_VISIBLE_DEVICES={context.environment.get('CUDA_VISIBLE_DEVICES')} hides every GPU"


class NvmlMeter:
    """Energy of NVIDIA boards; a window starts on a tick of the first board's counter."""

    name = "nvml"

    def __init__(
        self,
        context: MeterContext,
        devices: list[NvmlDevice],
        visible: list[NvmlDevice],
        selection: Selection,
    ) -> None:
        self._warn = context.warn
        self._devices = devices
        self._active = visible
        self._selection = selection
        self._starts: dict[str, Reading | str] = {}
        self._ends: dict[str, Reading | str] = {}
        self._sampler = PowerSampler(context.power_interval_s, POWER_SOURCE, context.warn)
        self._driver = pynvml.nvmlSystemGetDriverVersion()
        self._open = True

    @property
    def domains(self) -> frozenset[str]:
        return frozenset({"gpu"} if self._active else ())

    @property
    def device_uuids(self) -> frozenset[str]:
        return frozenset(device.uuid for device in self._devices)

    def restrict(self, device_uuids: Collection[str]) -> None:
        elsewhere = sorted(set(device_uuids) - {board.uuid for board in self._selection.boards})
        if elsewhere:
            self._warn("device_order", f"the model is on {', '.join(elsewhere)}, not on the GPUs metered until now")
        self._active = [device for device in self._devices if device.uuid in device_uuids]

    def begin(self, phase: str) -> float | None:  # noqa: ARG002
        counted = [device for device in self._active if not device.counter_missing]
        # One board leads: its tick is the window's start, and the others are read at that moment.
        leader = next((device for device in counted if device.tick_period_s is not None), None)
        self._starts = {}
        if leader is not None:
            self._starts[leader.uuid] = _reading("start", lambda: wait_for_tick(leader.energy_mj, TICK_TIMEOUT_S))
        for device in counted:
            if device is not leader:
                self._starts[device.uuid] = _reading("start", partial(read_now, device.energy_mj))
        self._sampler.start(self._active)
        start = self._starts[leader.uuid] if leader is not None else None
        return start.time_s if isinstance(start, Reading) and start.on_tick else None

    def end(self) -> None:
        self._ends = {
            device.uuid: _reading("end", partial(read_now, device.energy_mj))
            for device in self._active
            if not device.counter_missing
        }

    def finish(self, span: Span) -> Finished:
        samples = self._sampler.stop(span.phase)
        return Finished([self._entry(span, device, self._ends.get(device.uuid), samples) for device in self._active])

    def _entry(
        self, span: Span, device: NvmlDevice, end: Reading | str | None, samples: list[PowerSample]
    ) -> LedgerEntry:
        if end is None:
            own = [sample for sample in samples if sample.uuid == device.uuid]
            return power_entry(span, device.uuid, own)
        start = self._starts[device.uuid]
        if isinstance(start, str):
            return span.unknown(device.uuid, "gpu", COUNTER_SOURCE, start)
        if isinstance(end, str):
            return span.unknown(device.uuid, "gpu", COUNTER_SOURCE, end)
        return counter_entry(span, CounterWindow(device.uuid, start, end, device.tick_period_s))

    def trace(self) -> list[dict[str, Any]]:
        return self._sampler.trace()

    def describe(self) -> dict[str, Any]:
        active = {device.uuid for device in self._active}
        return {
            "meter": self.name,
            "driver": self._driver,
            "library": f"nvidia-ml-py {version('nvidia-ml-py')}",
            "devices": [{**device.describe(), "metered": device.uuid in active} for device in self._devices],
            "refused": [{"device": device, "reason": reason} for device, reason in self._selection.refused],
        }

    def close(self) -> None:
        if self._open:
            self._open = False
            self._sampler.close()
            pynvml.nvmlShutdown()


def _reading(edge: str, read: Callable[[], Reading]) -> Reading | str:
    """The counter at an edge of the window; where it fails, the reason."""
    try:
        return read()
    except pynvml.NVMLError as error:
        return f"reading the counter failed at the {edge} of the window: {error}"
