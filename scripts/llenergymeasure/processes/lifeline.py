"""End with the process that started this one."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable

import psutil

# A process passes its id to its children in this variable: by the time they look, their parent may be another.
PARENT = "LLENERGYMEASURE_PARENT_PID"
LOOK_AGAIN_S = 1.0


def end_with(process: int) -> None:
    """End this process when `process` ends, even when it is killed: a thread that sleeps in the kernel notices.

    The command loop would notice only between two experiments. Where the system gives no handle on a process (gVisor,
    containers that forbid the call, kernels before 5.3), the thread looks once a second.
    """
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        os._exit(1)
    except (AttributeError, OSError):
        _end_after(lambda: _poll(process))
    else:
        _end_after(lambda: select.select([handle], [], []))


def end_with_parent(parent: int | None = None) -> None:
    """As `end_with`, for the process that started this one: `parent`, else the id in PARENT.

    A parent that was killed before this call is noticed too: its children have another parent by then.
    """
    parent = int(os.environ[PARENT]) if parent is None else parent
    end_with(parent)
    if os.getppid() != parent:
        os._exit(1)


def _end_after(wait: Callable[[], object]) -> None:
    def end() -> None:
        wait()
        os._exit(1)

    threading.Thread(target=end, name="lifeline", daemon=True).start()


def _poll(process: int) -> None:
    """Return when the process is gone, even if another process has its number by then."""
    child = os.getppid() == process
    try:
        other = psutil.Process(process)
        # A killed process that nobody has asked about yet still has its number.
        while other.is_running() and other.status() != psutil.STATUS_ZOMBIE and (not child or os.getppid() == process):
            time.sleep(LOOK_AGAIN_S)
    except psutil.Error:
        return
