"""Which devices and cores a worker has to itself, where several workers share a machine (`--resources gpu=N`).

A job holds a lock on each of its devices for as long as it lives, also against other studies of the same user; the
kernel takes it back from one that died.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from llenergymeasure.energy.boards import visible_boards
from llenergymeasure.measurement.surroundings import offered_workers

LOOK_AGAIN_S = 0.5


class NoDevice(Exception):
    """There are fewer devices than workers; the message says what to change."""


@dataclass(frozen=True)
class Placement:
    """workers: how many devices this machine offers to be measured side by side. Where it is one, a job uses what it
    finds; else `devices` (UUIDs) and `cores` are its own.

    alone: it holds all of the offered devices, though it may use fewer, so that it has no neighbours
    """

    workers: int
    devices: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()
    alone: bool = True

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def warning(self) -> dict[str, str] | None:
        """What neighbours do to the figures."""
        if self.alone:
            return None
        return {
            "code": "neighbours-on-node",
            "message": (
                f"up to {self.workers - len(self.devices)} other GPUs of this machine were measured at the same time: "
                "they share its power and cooling limits, and energy of the processor and memory includes theirs "
                "(measurement.exclusive_node: true forbids it)"
            ),
        }


@contextmanager
def claim(held: int, used: int) -> Iterator[Placement]:
    """Hold that many devices that nobody holds, for this process and those it starts.

    These see the first `used` of them, and these devices' share of the cores. Waits while too few are free. With one
    worker a machine is not divided: it holds all that there are, and uses what it finds.
    """
    workers = offered_workers()
    near = visible_boards()
    if workers <= 1:
        with ExitStack() as locks:
            _lock_some(list(near), len(near), locks)
            yield Placement(workers=1)
        return
    require_devices(workers, near)
    with ExitStack() as locks:
        taken = _lock_some(list(near), held, locks)[:used]
        cores = sorted({core for uuid in taken for core in share_of(uuid, near)})
        before = os.sched_getaffinity(0)
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
        os.sched_setaffinity(0, cores)
        try:
            yield Placement(workers, tuple(taken), tuple(cores), alone=held == workers)
        finally:
            os.sched_setaffinity(0, before)


def require_devices(workers: int, near: Mapping[str, frozenset[int]]) -> None:
    """NoDevice where two workers would have to share a device."""
    if workers > len(near):
        raise NoDevice(
            f"--resources gpu={workers} asks for {workers} workers, each with a GPU of its own, and this machine "
            f"offers {len(near)}; use --resources gpu={max(1, len(near))}"
        )


def share_of(uuid: str, near: Mapping[str, frozenset[int]]) -> list[int]:
    """The cores near a device, divided evenly among the devices that the same cores are near to; at least one."""
    cores = sorted(near[uuid])
    neighbours = [other for other, others_cores in near.items() if others_cores == near[uuid]]
    place, count = neighbours.index(uuid), len(neighbours)
    share = cores[place * len(cores) // count : (place + 1) * len(cores) // count]
    return share or [cores[place % len(cores)]]


def _lock_some(uuids: list[str], count: int, locks: ExitStack) -> list[str]:
    if count == 0:
        return []
    folder = _lock_folder()
    # Nobody claims while another does: two that need several devices could wait for each other.
    with (folder / "claiming.lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        taken: list[str] = []
        waiting = False
        while True:
            for uuid in uuids:
                if uuid not in taken and _locked(folder / f"{uuid}.lock", locks):
                    taken.append(uuid)
                if len(taken) == count:
                    return taken
            if not waiting:
                print(f"waiting for {count - len(taken)} GPU(s) that other jobs hold", file=sys.stderr, flush=True)
                waiting = True
            time.sleep(LOOK_AGAIN_S)


def _locked(path: Path, locks: ExitStack) -> bool:
    lock: TextIO = path.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    locks.enter_context(lock)
    return True


def _lock_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"llenergymeasure-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise NoDevice(f"{folder} belongs to somebody else; set TMPDIR to a folder of your own")
    return folder
