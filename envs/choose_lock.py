"""Name of the lock that fits this machine, by the version of its NVIDIA driver: `cuda13` or `cuda12`; `cpu` where
there is no driver and pip finds torch's CPU build. Needs no package.

LLENERGYMEASURE_TORCH names the lock instead. `--cuda` asks only which CUDA: for machines that install for others.
PyPI's torch also runs on machines without a GPU, it is only larger; so the user need not do anything more.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LOCKS = Path(__file__).resolve().parent / "locks"
TORCH = re.compile(r"^torch==(?:.*\\\n)*.*", re.MULTILINE)
NAMED = "LLENERGYMEASURE_TORCH"
# The oldest driver branch for each, newest first (CUDA Toolkit release notes, "CUDA Toolkit Driver Versions").
OLDEST_DRIVER = {"cuda13": 580, "cuda12": 525}
PROC = Path("/proc/driver/nvidia/version")


def main(arguments: list[str]) -> None:
    named = os.environ.get(NAMED)
    if named:
        if not (LOCKS / f"{named}.txt").is_file() or named not in (*OLDEST_DRIVER, "cpu"):
            sys.exit(f"{NAMED}={named}: use one of {', '.join((*OLDEST_DRIVER, 'cpu'))}")
        print(named)
        return
    driver = driver_version()
    if driver is not None:
        print(_for_driver(driver))
    elif "--cuda" in arguments or Path("/dev/nvidiactl").exists() or not _has_cpu_build():
        print(next(iter(OLDEST_DRIVER)))
    else:
        print("cpu")


def driver_version() -> str | None:
    """Such as 580.65.06, from NVML or the kernel module; None where there is no NVIDIA driver."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        text = ctypes.create_string_buffer(96)
        if nvml.nvmlInit_v2() == 0 and nvml.nvmlSystemGetDriverVersion(text, len(text)) == 0:
            return text.value.decode()
    except (OSError, AttributeError):
        pass
    match = re.search(r"Module.*?\s(\d+(?:\.\d+)+)\s", PROC.read_text()) if PROC.exists() else None
    return match[1] if match else None


def _for_driver(version: str) -> str:
    branch = int(version.split(".")[0])
    for lock, oldest in OLDEST_DRIVER.items():
        if branch >= oldest:
            return lock
    needed = ", ".join(f"{oldest} or newer for {lock}" for lock, oldest in OLDEST_DRIVER.items())
    sys.exit(f"NVIDIA driver {version} is too old for torch: {needed}; update it, or set {NAMED}=cpu")


def _has_cpu_build() -> bool:
    """Whether pip, as it is set up here, would install exactly the file that the lock names."""
    pin = TORCH.search((LOCKS / "cpu.txt").read_text(encoding="utf-8"))
    if pin is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "torch.txt")
        wanted.write_text(pin[0] + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps", "--ignore-installed"]
        command += ["--require-hashes", "-r", str(wanted)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main(sys.argv[1:])
