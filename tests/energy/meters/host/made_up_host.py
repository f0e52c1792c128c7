"""A made-up machine: its files under /proc and /sys, and windows in which its processes work."""

from __future__ import annotations

import os
from pathlib import Path

from llenergymeasure.config.settings.protocol import FOREIGN_LOAD
from llenergymeasure.energy.ledger import Finished, Span
from llenergymeasure.energy.meters.host.watcher import HostWatcher

ME, CHILD, GRANDCHILD, MANAGER, WORKFLOW, SIBLING = os.getpid(), 900_001, 900_002, 900_003, 900_004, 900_005


class Host:
    """A made-up machine: its files, a clock, and processes with a past."""

    def __init__(self, root: Path, cores: int = 4) -> None:
        self.cores = cores
        self.proc, self.cpufreq = root / "proc", root / "cpufreq"
        self.now = 100.0
        self.ticks: dict[int, list[int]] = {}
        self.machine = 51_200
        self.stolen = 60
        self.usable = frozenset(range(cores))
        self.write_machine()
        self.process(WORKFLOW, parent=0, children=[MANAGER, SIBLING])
        self.process(MANAGER, parent=WORKFLOW, children=[ME])
        self.process(ME, parent=MANAGER, children=[CHILD])
        self.process(CHILD, parent=ME, children=[GRANDCHILD])
        self.process(GRANDCHILD, parent=CHILD)
        self.process(SIBLING, parent=WORKFLOW)
        (self.proc / "vmstat").write_text("pswpin 7\npswpout 9\n")
        for number in range(4):
            folder = self.cpufreq / f"policy{number}"
            folder.mkdir(parents=True)
            (folder / "scaling_governor").write_text("performance\n")
            (folder / "scaling_cur_freq").write_text("2400000\n")

    def now_s(self) -> float:
        return self.now

    def process(self, pid: int, *, parent: int, children: list[int] | None = None, ended_children: int = 0) -> None:
        folder = self.proc / str(pid) / "task" / str(pid)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "children").write_text(" ".join(map(str, children or [])))
        self.wait(pid, 3.0)
        self.ticks[pid] = [parent, 1000, ended_children]
        self.spend(pid, 0)

    def spend(self, pid: int, ticks: int) -> None:
        """A process works; the machine counts it."""
        parent, before, ended = self.ticks[pid]
        self.ticks[pid][1] = before + ticks
        words = [pid, "(a b) c)", "R", parent, *[0] * 9, before + ticks - 10, 10, ended, 0, *[0] * 20]
        (self.proc / str(pid) / "stat").write_text(" ".join(map(str, words)) + "\n")
        self.machine += ticks
        self.write_machine()

    def wait(self, pid: int, seconds: float) -> None:
        """How long its one thread has waited for a core since it started."""
        text = f"123456789 {round(seconds * 1e9)} 77\n"
        (self.proc / str(pid) / "task" / str(pid) / "schedstat").write_text(text)

    def end(self, pid: int, parent: int) -> None:
        """A process ends and is waited for: its time goes to its parent's account."""
        self.ticks[parent][2] += self.ticks.pop(pid)[1]
        (self.proc / str(pid) / "stat").unlink()
        self.spend(parent, 0)

    def write_machine(self) -> None:
        self.proc.mkdir(parents=True, exist_ok=True)
        each = self.machine // self.cores
        cores = "".join(f"cpu{number} {each} 0 0 0 0 0 0 0 0 0\n" for number in range(self.cores))
        counts = f"{self.machine - 5} 3 2 9999 8 777 777 {self.stolen} 0 0"
        (self.proc / "stat").write_text(f"cpu {counts}\n{cores}intr 1 2\n")


Metered = tuple[str, str] | tuple[str, str, float]
PIDS = {"me": ME, "child": CHILD, "grandchild": GRANDCHILD, "manager": MANAGER, "workflow": WORKFLOW}


def watched(
    host: Host,
    seconds: float,
    *,
    of: tuple[Metered, ...] = (),
    waited_s: float = 0.0,
    stolen: int = 0,
    limit: float = FOREIGN_LOAD,
    **ticks_of: int,
) -> Finished:
    """A window of that length in which processes work for that many ticks.

    of: what meters, by domain and source, and its joules where they are not 100
    waited_s: how long a child of this process waited for a core
    """
    watcher = HostWatcher(host, limit)  # type: ignore[arg-type]
    watcher.begin("generate")
    host.wait(CHILD, 3.0 + waited_s)
    host.stolen += stolen
    for name, ticks in ticks_of.items():
        host.spend(PIDS.get(name, SIBLING), ticks)
    host.now += seconds
    watcher.end()
    span = Span("generate", host.now - seconds, host.now)
    entries = [
        span.unknown(domain, domain, source, "nothing meters it")
        if source == "none"
        else span.known(domain, domain, source, joules[0] if joules else 100.0, [])
        for domain, source, *joules in of
    ]
    return watcher.finish(span, entries)
