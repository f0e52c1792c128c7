"""What Linux reports of the whole machine at one moment: processor time, ours and all, clocks, governor, swapping.

Times are in seconds since the boot, counted by the kernel in ticks of 1/CLK_TCK (10 ms mostly). See proc(5) and
Documentation/admin-guide/pm/cpufreq.rst.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CPUFREQ = Path("/sys/devices/system/cpu/cpufreq")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
# Clocks are looked at on so many processors, spread over all: each costs a call into the driver.
CLOCKS = 8


@dataclass(frozen=True)
class Busy:
    """Processor time of the machine: in programs and the kernel, and taken away by a hypervisor; and how many cores.

    usable_busy_s, usable_cores: the same of the cores that this process may run on
    """

    busy_s: float
    stolen_s: float
    cores: int
    usable_busy_s: float
    usable_cores: int


def read_busy() -> Busy:
    """Processor time without interrupts, which belong to no program. OSError or ValueError where it cannot be read."""
    whole, *cores = [line.split() for line in _stat_lines()]
    usable = {f"cpu{core}" for core in usable_cores()}
    ours = [words for words in cores if words[0] in usable]
    return Busy(_busy_s(whole), int(whole[8]) * TICK_S, len(cores), sum(map(_busy_s, ours)), len(ours))


def usable_cores() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0))


def _stat_lines() -> list[str]:
    """Of the whole machine first, then one per core."""
    lines = (PROC / "stat").read_text(encoding="ascii").split("\n")
    return [line for line in lines if line.startswith("cpu")]


def _busy_s(words: Sequence[str]) -> float:
    user, nice, system = (int(word) for word in words[1:4])
    return (user + nice + system) * TICK_S


def read_own_s(pid: int) -> float:
    """Processor time of a process, all it started, and those that started it up to the first one.

    The manager and the workflow system are among the latter; what they started beside this process counts as foreign.
    A child that ended is in its parent's time. OSError or ValueError where `pid` itself cannot be read.
    """
    me = _stat(pid)
    if not (PROC / str(pid) / "task" / str(pid) / "children").exists():
        raise FileNotFoundError("this kernel does not list a process's children (CONFIG_PROC_CHILDREN)")
    total = me.own_s + me.ended_children_s
    for child in _descendants(pid):
        try:
            stat = _stat(child)
        except (OSError, ValueError):
            continue  # ended just now: its time is in its parent's next reading
        total += stat.own_s + stat.ended_children_s
    above = me.parent
    while above > 0:
        try:
            stat = _stat(above)
        except (OSError, ValueError):
            break  # hidden from us: then it is foreign
        total += stat.own_s
        above = stat.parent
    return total


def read_waiting_s(pid: int) -> dict[int, float]:
    """How long each thread of a process, and of all it started, has been ready to run without a core (sched-stats).

    OSError where the kernel does not count it (CONFIG_SCHED_INFO).
    """
    own = PROC / str(pid) / "task" / str(pid)
    waiting = {pid: _waiting_s(own)}
    for process in (pid, *_descendants(pid)):
        try:
            threads = list((PROC / str(process) / "task").iterdir())
        except OSError:
            continue
        for thread in threads:
            try:
                waiting[int(thread.name)] = _waiting_s(thread)
            except (OSError, ValueError):
                continue  # it ended just now
    return waiting


def _waiting_s(thread: Path) -> float:
    return int((thread / "schedstat").read_text(encoding="ascii").split()[1]) / 1e9


@dataclass(frozen=True)
class _Stat:
    parent: int
    own_s: float
    ended_children_s: float


def _stat(pid: int) -> _Stat:
    # The name in brackets may hold spaces and brackets itself.
    words = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    user, system, children_user, children_system = (int(word) for word in words[11:15])
    return _Stat(int(words[1]), (user + system) * TICK_S, (children_user + children_system) * TICK_S)


def _descendants(pid: int) -> Iterator[int]:
    """Every process below `pid`, by the kernel's own lists: looking at all processes would take far longer."""
    waiting = [pid]
    while waiting:
        threads = PROC / str(waiting.pop()) / "task"
        try:
            each_thread = list(threads.iterdir())
        except OSError:
            continue
        for thread in each_thread:
            try:
                children = (thread / "children").read_text(encoding="ascii")
            except OSError:
                continue
            pids = [int(child) for child in children.split()]
            waiting += pids
            yield from pids


def read_governors() -> dict[str, str]:
    """Governor by frequency policy, `policy0` and so on; empty where the kernel scales nothing."""
    return {folder.name: (folder / "scaling_governor").read_text(encoding="ascii").strip() for folder in _policies()}


def read_clocks_mhz() -> list[float]:
    """Clocks of a few processors in MHz; empty where the kernel does not say."""
    policies = _policies()
    some = policies[:: max(1, -(-len(policies) // CLOCKS))]
    return [int((folder / "scaling_cur_freq").read_text(encoding="ascii")) / 1e3 for folder in some]


def _policies() -> Sequence[Path]:
    return sorted(CPUFREQ.glob("policy*"), key=lambda folder: int(folder.name.removeprefix("policy")))


def read_swapped_in() -> int:
    """Pages read back from swap since the boot."""
    for line in (PROC / "vmstat").read_text(encoding="ascii").split("\n"):
        if line.startswith("pswpin "):
            return int(line.split()[1])
    raise ValueError(f"{PROC}/vmstat has no pswpin")
