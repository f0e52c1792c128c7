"""What torch's compiler needs of the machine: a C compiler and Python's headers. Imports no torch."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

C_COMPILERS = ("gcc", "clang", "cc")


def python_header() -> Path:
    """Where Python.h must be."""
    # Debian's own Python names the folder of what users install; its headers lie where its other files do.
    scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")
    return Path(sysconfig.get_path("include", scheme), "Python.h")


def compiler_lacks() -> str | None:
    """What is missing, in words; None where nothing is."""
    named = os.environ.get("CC")
    if not any(shutil.which(name) for name in ((named,) if named else C_COMPILERS)):
        return f"there is no C compiler here ({named or ', '.join(C_COMPILERS)})"
    header = python_header()
    return None if header.is_file() else f"{header} does not exist"
