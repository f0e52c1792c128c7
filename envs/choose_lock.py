"""Name of the lock that fits this machine: `cuda`; `cpu` where there is no NVIDIA GPU and pip finds torch's CPU build.

PyPI's torch runs on machines without a GPU too, it is only larger; so nothing more is asked of the user here.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

LOCKS = Path(__file__).resolve().parent / "locks"
TORCH = re.compile(r"^torch==(?:.*\\\n)*.*", re.MULTILINE)


def main() -> None:
    print("cuda" if _has_nvidia_driver() or not _has_cpu_build() else "cpu")


def _has_nvidia_driver() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


def _has_cpu_build() -> bool:
    """Whether pip, as it is set up here, would install exactly the file that the lock names."""
    found = TORCH.search((LOCKS / "cpu.txt").read_text(encoding="utf-8"))
    if found is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "torch.txt")
        wanted.write_text(found[0] + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps", "--ignore-installed"]
        command += ["--require-hashes", "-r", str(wanted)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()
