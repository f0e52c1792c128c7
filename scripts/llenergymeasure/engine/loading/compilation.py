"""Compile in place, and count what was really compiled and recorded.

`torch.compile(model)` followed by `.generate()` runs the original module: nothing is compiled. `model.compile()`
replaces the module's own call, which is what `generate` uses.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
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

    frames_compiled, frames_seen: functions that it compiled, and that it looked at
    recompile_limits: functions that it has compiled so often that it runs them uncompiled for every new shape
    cudagraph_skips: compiled graphs that inductor refused to record as CUDA graphs
    graphs_recorded: CUDA graphs that inductor's managers hold; graphs_recorded_again: those of them that took the place
        of one that no longer fitted its inputs

    Importing the compiler takes over a second. A compiler that was not imported has compiled nothing.
    """
    compiler = sys.modules.get("torch._dynamo.utils")
    if compiler is None:
        return dict.fromkeys(_NAMES, 0)
    counters = compiler.counters
    recorded, again = _recorded_graphs()
    figures = (
        counters["frames"]["ok"],
        counters["frames"]["total"],
        counters["stats"]["unique_graphs"],
        sum(counters["graph_break"].values()),
        sum(number for reason, number in counters["unimplemented"].items() if _LIMIT in str(reason).partition("\n")[0]),
        counters["inductor"]["cudagraph_skips"],
        recorded,
        again,
    )
    return dict(zip(_NAMES, figures, strict=True))


_NAMES = (
    "frames_compiled",
    "frames_seen",
    "unique_graphs",
    "graph_breaks",
    "recompile_limits",
    "cudagraph_skips",
    "graphs_recorded",
    "graphs_recorded_again",
)
# The beginning of dynamo's reason: "Dynamo recompile limit exceeded", in older versions "cache limit".
_LIMIT = "limit exceeded"


def since(before: Mapping[str, int]) -> dict[str, int]:
    """The increase over `before`, never below 0: the graphs of a manager that was given up are counted no longer."""
    return {name: max(0, value - before[name]) for name, value in counts().items()}


def _recorded_graphs() -> tuple[int, int]:
    """CUDA graphs in the trees of inductor's managers, and how many of them are the second or later for their place.

    Only this thread's: each thread that runs compiled code has managers of its own. torch's own look-up of them raises
    in a thread that has none.
    """
    trees = sys.modules.get("torch._inductor.cudagraph_trees")
    if trees is None:
        return 0, 0
    sizes = []
    for container in (getattr(trees.local, "tree_manager_containers", None) or {}).values():
        if container.tree_manager is not None:
            sizes += list(_siblings(container.tree_manager.roots))
    return sum(sizes), sum(size - 1 for size in sizes)


def _siblings(places: Mapping[Any, list[Any]] | None) -> Iterator[int]:
    """For each function at each place of a tree, how many graphs were recorded for it there."""
    for nodes in (places or {}).values():
        if nodes:
            yield len(nodes)
        for node in nodes:
            yield from _siblings(node.children)
