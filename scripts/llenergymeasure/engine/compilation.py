"""Compile in place, and count what was really compiled.

`torch.compile(model)` followed by `.generate()` runs the original module: nothing is compiled. `model.compile()`
replaces the module's own call, which is what `generate` uses.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from llenergymeasure.engine.failure import library_call


def use_compile_cache(directory: Path) -> None:
    """Make torch keep what it compiles in `directory`. Must run before anything is compiled."""
    directory.mkdir(parents=True, exist_ok=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(directory.resolve())
    os.environ["TRITON_CACHE_DIR"] = str(directory.resolve() / "triton")


def compile_in_place(model: torch.nn.Module, keywords: Mapping[str, Any]) -> None:
    """Ask torch to compile the model's forward; it happens at the first call."""
    with library_call("compile"):
        model.compile(**keywords)


def counts() -> dict[str, int]:
    """What torch's compiler has done in this process so far.

    Importing the compiler takes over a second; where nobody has imported it, it has compiled nothing.
    """
    compiler = sys.modules.get("torch._dynamo.utils")
    if compiler is None:
        return dict.fromkeys(_NAMES, 0)
    seen = compiler.counters
    figures = (
        seen["frames"]["ok"],
        seen["frames"]["total"],
        seen["stats"]["unique_graphs"],
        sum(seen["graph_break"].values()),
        seen["inductor"]["cudagraph_skips"],
    )
    return dict(zip(_NAMES, figures, strict=True))


_NAMES = ("frames_compiled", "frames_seen", "unique_graphs", "graph_breaks", "cudagraph_skips")


def since(before: Mapping[str, int]) -> dict[str, int]:
    """The counts that came on top of `before`."""
    return {name: value - before[name] for name, value in counts().items()}
