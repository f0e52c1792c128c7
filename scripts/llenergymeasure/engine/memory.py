"""How much of one kind of memory a process holds, and how much of that is free but fragmented."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class MemoryState:
    """Memory at one moment, in bytes. None where it is not known.

    in_use: what the peak of the same kind counts: tensors on a CUDA device, the resident set on the host.
    private: the part that only this process can have allocated. On the host it does not count mapped files, whose
    pages come and go with the system's cache; weights read from a file of their own number format are mapped.
    reserved: what the allocator took from the system; fragmented: free in it, but in pieces it cannot give back.
    """

    in_use_bytes: int
    private_bytes: int
    reserved_bytes: int | None
    fragmented_bytes: int | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def sum_states(states: Iterable[MemoryState]) -> MemoryState:
    """The sum over several processes or devices at the same moment; unknown where one of them is unknown."""
    moments = list(states)
    return MemoryState(
        sum(state.in_use_bytes for state in moments),
        sum(state.private_bytes for state in moments),
        _sum([state.reserved_bytes for state in moments]),
        _sum([state.fragmented_bytes for state in moments]),
    )


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def host_memory() -> MemoryState:
    """The resident set (proc(5): VmRSS, RssAnon) and the heap of the C library."""
    heap = _mallinfo()
    return MemoryState(
        in_use_bytes=_status("VmRSS"),
        private_bytes=_status("RssAnon"),
        reserved_bytes=None if heap is None else heap.arena + heap.hblkhd,
        fragmented_bytes=None if heap is None else heap.fordblks,
    )


def cuda_memory(index: int) -> MemoryState:
    """torch's caching allocator: blocks in use, segments taken from the driver, pieces of split blocks."""
    stats = torch.cuda.memory_stats(index)
    allocated = torch.cuda.memory_allocated(index)
    return MemoryState(
        in_use_bytes=allocated,
        private_bytes=allocated,
        reserved_bytes=torch.cuda.memory_reserved(index),
        fragmented_bytes=int(stats.get("inactive_split_bytes.all.current", 0)),
    )


def host_peak_bytes() -> int:
    """The highest resident set since `reset_host_peak`, else since the process began."""
    return _status("VmHWM")


def reset_host_peak() -> bool:
    """Reset the high-water mark. False where the system does not permit it (proc(5), clear_refs: writing 5)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def release_host() -> None:
    """Collect what nothing refers to, and give the free pages of the heap back to the system."""
    gc.collect()
    trim = getattr(_libc(), "malloc_trim", None)  # glibc has it; musl and others do not
    if trim is not None:
        trim(0)


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {name} line; memory is only known on Linux")


class _MallInfo2(ctypes.Structure):
    """`struct mallinfo2` of malloc.h, glibc 2.33 and newer."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def _mallinfo() -> Any:
    """What glibc's heaps hold, all arenas; None where the C library has no such function."""
    asked = getattr(_libc(), "mallinfo2", None)
    if asked is None:
        return None
    asked.restype = _MallInfo2
    return asked()


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
