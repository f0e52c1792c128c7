"""Which board, driver and libraries these are, and whether torch and NVML mean the same board."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pynvml

from benchmarks.gpu.probes.board import first_visible, power_source
from benchmarks.gpu.scale import Scale, cuda_only

ROOT = Path(__file__).resolve().parents[3]
COMPARED = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "bitsandbytes",
    "nvidia-ml-py",
    "snakemake",
    "pydantic",
)


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
    """What the driver answers, or its refusal; a symbol that the library lacks is one too."""
    try:
        return call()
    except (pynvml.NVMLError, AttributeError) as refusal:
        return str(refusal)


def versions(scale: Scale) -> dict[str, Any]:  # noqa: ARG001
    """Imported and locked version of what figures depend on."""
    lock = (ROOT / "envs" / "locks" / "cuda.txt").read_text(encoding="utf-8")
    table: dict[str, Any] = {"python": platform.python_version(), "kernel": platform.release()}
    for name in COMPARED:
        locked = re.search(rf"^{name}==([^\s;]+)", lock, re.MULTILINE)
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = None
        table[name] = {"imported": installed, "locked": locked[1] if locked else None}
    return table


def cuda(scale: Scale) -> dict[str, Any]:
    """What torch was built for, and its name of the board; also that a peak can be reset before CUDA is in use."""
    cuda_only(scale)
    import torch

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


def compiler(scale: Scale) -> dict[str, Any]:  # noqa: ARG001
    """Whether there is what compiled experiments need: a C compiler and Python's headers."""
    import shutil
    import sysconfig

    header = Path(sysconfig.get_paths()["include"], "Python.h")
    return {"cc": shutil.which("cc") or shutil.which("gcc"), "python_h": str(header) if header.exists() else None}


def smi(scale: Scale) -> list[str]:
    """The lines of `nvidia-smi -q` that say how the board is set up."""
    cuda_only(scale)
    done = subprocess.run(["nvidia-smi", "-q"], capture_output=True, text=True, timeout=15, check=True)
    wanted = re.compile(r"Power|Clocks|ECC|MIG|Temp|Slowdown|Product|Driver|CUDA|VBIOS|Graphics|SM |Memory  ")
    return [line.strip() for line in done.stdout.splitlines() if wanted.search(line) and ":" in line][:120]


QUESTIONS = {"board": board, "versions": versions, "compiler": compiler, "cuda": cuda, "smi": smi}
