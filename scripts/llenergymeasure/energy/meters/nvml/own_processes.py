"""Which processes belong to this experiment: the others on a device disturb it."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
INIT = 1
# The kernel gives the first namespace of process ids always this number (include/linux/proc_ns.h).
NAMESPACE = Path("/proc/self/ns/pid")
FIRST_NAMESPACE = "pid:[4026531836]"


def own_processes() -> frozenset[int]:
    """This process, all above it, and all below its parent: the processes of one experiment have one parent."""
    parents = _parents()
    above = {os.getpid()}
    pid = os.getpid()
    while (pid := parents.get(pid, 0)) > 0 and pid not in above:
        above.add(pid)
    parent = parents.get(os.getpid(), 0)
    below = {parent if parent > INIT else os.getpid()}
    while more := {pid for pid, of in parents.items() if of in below} - below:
        below |= more
    return frozenset(above | below)


def workers() -> frozenset[int]:
    """This process and the other processes of an experiment, which have its parent."""
    parents = _parents()
    parent = parents.get(os.getpid(), 0)
    beside = {pid for pid, of in parents.items() if of == parent} if parent > INIT else set()
    return frozenset({os.getpid(), *beside})


def exists(pid: int) -> bool:
    """Whether the process can be seen from here; one of another pid namespace cannot."""
    return (PROC / str(pid)).exists()


def in_first_namespace() -> bool:
    """Whether process ids here are those of the whole machine. False in a container with ids of its own."""
    try:
        return str(NAMESPACE.readlink()) == FIRST_NAMESPACE
    except OSError:
        return False


def _parents() -> dict[int, int]:
    """The parent of each process."""
    parents = {}
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name stands in brackets and may hold anything, brackets too.
            state = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
        except OSError:
            continue  # it has ended meanwhile
        parents[int(folder.name)] = int(state.split()[1])
    return parents
