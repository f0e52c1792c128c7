"""Where a child process finds this package."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import llenergymeasure


def python_path(environment: Mapping[str, str]) -> str:
    """PYTHONPATH for a child process: the folder that holds this package, before what was there."""
    folder = str(Path(llenergymeasure.__file__).resolve().parents[1])
    return os.pathsep.join(filter(None, [folder, environment.get("PYTHONPATH")]))
