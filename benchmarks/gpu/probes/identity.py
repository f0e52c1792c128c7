"""Which board and driver these are, and whether torch and NVML mean the same board."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynvml

from benchmarks.gpu.probes.board import first_visible, power_source
from benchmarks.gpu.scale import Scale, cuda_only


def board(scale: Scale) -> dict[str, Any]:  # noqa: ARG001
    handle = first_visible()
    return {
        "name": pynvml.nvmlDeviceGetName(handle),
        "uuid": pynvml.nvmlDeviceGetUUID(handle),
        "driver": pynvml.nvmlSystemGetDriverVersion(),
        "power_reading": power_source().name,
        **{name: _or_reason(call) for name, call in _facts(handle).items()},
    }


def _facts(handle: Any) -> dict[str, Callable[[], Any]]:
    return {
        "vbios": lambda: pynvml.nvmlDeviceGetVbiosVersion(handle),
        "persistence": lambda: pynvml.nvmlDeviceGetPersistenceMode(handle),
        "limit_w": lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3,
        "default_limit_w": lambda: pynvml.nvmlDeviceGetPowerManagementDefaultLimit(handle) / 1e3,
        "temperature_c": lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
        "mig": lambda: pynvml.nvmlDeviceGetMigMode(handle)[0],
        "ecc": lambda: pynvml.nvmlDeviceGetEccMode(handle)[0],
    }


def _or_reason(call: Callable[[], Any]) -> Any:
    """The driver's answer, or its refusal; a symbol that the library lacks counts as a refusal."""
    try:
        return call()
    except (pynvml.NVMLError, AttributeError) as refusal:
        return str(refusal)


def cuda(scale: Scale) -> dict[str, Any]:
    """What torch was built for, and its name of the board; also that a peak can be reset before CUDA is in use.

    Raises:
        RuntimeError: torch sees no board.
    """
    cuda_only(scale)
    import torch

    if not torch.cuda.is_available():
        built_for = torch.version.cuda or "no CUDA"
        raise RuntimeError(f"torch {torch.__version__}, built for {built_for}, sees no board; is the driver older?")

    from llenergymeasure.engine.devices import Cuda

    try:
        reset: bool | str = Cuda([0]).reset_peak_memory()
    except RuntimeError as error:
        reset = str(error).splitlines()[0]
    uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    return {
        "peak_is_reset_before_cuda_is_initialised": reset,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "nccl": torch.cuda.nccl.version(),
        "uuid": uuid,
        "same_board_as_nvml": uuid == pynvml.nvmlDeviceGetUUID(first_visible()),
    }


QUESTIONS = {"board": board, "cuda": cuda}
