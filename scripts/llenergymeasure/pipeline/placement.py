"""Which devices and cores a worker has to itself.

A job claims the GPUs that its model setup needs, and its worker sees these alone, by UUID. It holds a lock on each for
as long as it lives, also against other studies of the same user. A job that dies does not keep its locks.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llenergymeasure.energy.meters.nvml.boards import look_at_boards
from llenergymeasure.pipeline.board_draw import Draw
from llenergymeasure.pipeline.device_check import VISIBLE, device_problems
from llenergymeasure.processes.file_lock import FileLock, exclusive
from llenergymeasure.processes.inherited import offered_workers
from llenergymeasure.records.finding import warning

LOOK_AGAIN_S = 0.5


class NoDevice(Exception):
    """There are fewer devices than the call asks for, or they cannot be used. The message says what to change."""


@dataclass(frozen=True)
class Placement:
    """workers: how many devices this machine offers to be measured side by side (`--resources gpu=N`).

    devices: UUIDs of those that the job's processes see; empty where NVML knows none
    drawn: those that the draw gave first; `devices` differ where other jobs held them
    cores: the cores that they may use; empty where the machine is not divided
    alone: it holds all of the offered devices, though it may use fewer, so that it has no neighbours
    """

    workers: int
    devices: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()
    alone: bool = True

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def warning(self) -> dict[str, str] | None:
        """What neighbours do to the figures."""
        if self.alone:
            return None
        return warning(
            "neighbours-on-node",
            f"up to {self.workers - len(self.devices)} other GPUs of this machine were measured at the same time: "
            "they share its power and cooling limits, and energy of the processor and memory includes theirs "
            "(measurement.exclusive_node: true forbids it)",
        )


@contextmanager
def claim(held: int, used: int | None, draw: Draw) -> Iterator[Placement]:
    """Hold devices that nobody holds, for this process and those it starts. Waits while too few are free.

    With one worker the machine is not divided: the job holds all visible devices. Otherwise it holds as many as `held`,
    and the processes get these devices' share of the cores.

    used: how many of them the processes see; None: all that are held; 0: the model is on the processor, and one is
        held as its place
    NoDevice where there are not enough.
    """
    workers = offered_workers()
    boards = look_at_boards()
    problems = device_problems(boards, os.environ, {"this job": used})
    if problems:
        raise NoDevice(problems[0])
    near = {} if boards is None else boards.near
    divided = workers > 1
    if divided:
        require_devices(workers, near)
    side_by_side = divided and held < workers
    ring = draw.ring(near, side_by_side=side_by_side)
    with ExitStack() as locks:
        locked = sorted(_lock_some(ring, held if divided else len(ring), locks), key=ring.index)
        count = len(locked) if used is None else max(1, used)
        taken = locked[:count]
        cores = sorted({core for uuid in taken for core in core_share(uuid, near)}) if divided else []
        with _confined_to(taken, cores):
            yield Placement(workers, tuple(taken), tuple(ring[:count]), tuple(cores), alone=not side_by_side)


@contextmanager
def _confined_to(devices: list[str], cores: list[int]) -> Iterator[None]:
    """Processes that start meanwhile see these devices alone and run on these cores; none: as it is."""
    before = os.sched_getaffinity(0)
    visible = os.environ.get(VISIBLE)
    if devices:
        os.environ[VISIBLE] = ",".join(devices)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        if visible is not None:
            os.environ[VISIBLE] = visible
        elif devices:
            del os.environ[VISIBLE]


def require_devices(workers: int, near: Mapping[str, frozenset[int]]) -> None:
    """NoDevice where two workers would have to share a device."""
    if workers > len(near):
        raise NoDevice(
            f"--resources gpu={workers} asks for {workers} workers, each with a GPU of its own, and this machine "
            f"offers {len(near)}; use --resources gpu={max(1, len(near))}"
        )


def core_share(uuid: str, near: Mapping[str, frozenset[int]]) -> list[int]:
    """The cores near a device, divided evenly among the devices that the same cores are near to; at least one."""
    cores = sorted(near[uuid])
    neighbours = [other for other, others_cores in near.items() if others_cores == near[uuid]]
    place, count = neighbours.index(uuid), len(neighbours)
    share = cores[place * len(cores) // count : (place + 1) * len(cores) // count]
    return share or [cores[place % len(cores)]]


def _lock_some(uuids: list[str], count: int, locks: ExitStack) -> list[str]:
    """Locks on that many of them, the first free ones in their order."""
    if count == 0:
        return []
    folder = _lock_folder()
    free = {uuid: FileLock(folder / f"{uuid}.lock") for uuid in uuids}
    try:
        # Nobody claims while another does: two that need several devices could wait for each other.
        with exclusive(folder / "claiming.lock"):
            return _lock_free(free, count, locks)
    except OSError as error:
        raise NoDevice(
            f"{folder}: no lock can be held here ({error.strerror or error}), so two jobs could measure on one GPU; "
            "set TMPDIR to a folder of your own on another file system"
        ) from error


def _lock_free(free: dict[str, FileLock], count: int, locks: ExitStack) -> list[str]:
    taken: list[str] = []
    waiting = False
    while True:
        for uuid, lock in free.items():
            if uuid not in taken and lock.try_acquire():
                locks.callback(lock.release)
                taken.append(uuid)
            if len(taken) == count:
                return taken
        if not waiting:
            print(f"waiting for {count - len(taken)} GPU(s) that other jobs hold", file=sys.stderr, flush=True)
            waiting = True
        time.sleep(LOOK_AGAIN_S)


def _lock_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"llenergymeasure-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise NoDevice(f"{folder} belongs to somebody else; set TMPDIR to a folder of your own")
    return folder
