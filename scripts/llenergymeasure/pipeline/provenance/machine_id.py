"""An id of this machine, so that a CPU package here is not taken for the same package elsewhere.

/etc/machine-id is confidential (machine-id(5): "should not be exposed in untrusted environments"), so the results hold
what `sd_id128_get_machine_app_specific` makes of it: it cannot be traced back, and another program's is another one.
`systemd-id128 machine-id --app-specific=7db55a4e2c344d9c9f5a2c1f0a7c3e11` prints the same.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

# Drawn at random, for this program.
APPLICATION = "7db55a4e2c344d9c9f5a2c1f0a7c3e11"
# Container runtimes and systemd leave one of them.
CONTAINER_MARKS = (".dockerenv", "run/.containerenv", "run/systemd/container", ".singularity.d")


def machine_id(root: Path = Path("/")) -> str | None:
    """32 hexadecimal digits; None in a container, and where the machine has no id or not yet.

    root: the folder that is read as `/`
    """
    if _in_container(root):
        return None
    try:
        text = (root / "etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    # At the first boot it is empty, or the word `uninitialized`.
    if not re.fullmatch(r"[0-9a-f]{32}", text) or text == "0" * 32:
        return None
    return _specific(text)


def _in_container(root: Path) -> bool:
    """An image's machine-id is that of every container made from it, wherever it runs."""
    if any((root / mark).exists() for mark in CONTAINER_MARKS):
        return True
    try:
        mounts = (root / "proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    # Runtimes that leave no mark (containerd, enroot) still stack the image's layers.
    return any(line.split()[1:3] == ["/", "overlay"] for line in mounts)


def _specific(machine: str) -> str:
    """HMAC-SHA256 of the application with the machine as the key, cut to 16 bytes and marked as a random UUID."""
    digest = hmac.new(bytes.fromhex(machine), bytes.fromhex(APPLICATION), hashlib.sha256).digest()
    number = bytearray(digest[:16])
    number[6] = number[6] & 0x0F | 0x40
    number[8] = number[8] & 0x3F | 0x80
    return number.hex()
