"""End with the process that started this one."""

from __future__ import annotations

import os
import threading

# Under this name a process tells those that it starts who it is: by the time they look, their parent may be another.
PARENT = "LLENERGYMEASURE_PARENT_PID"


def end_with(process: int) -> None:
    """A killed process leaves no orphan: a thread asleep in the kernel notices that it is gone.

    The command loop would notice only between two experiments.
    """
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        os._exit(1)

    def wait() -> None:
        import select

        select.select([handle], [], [])
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def end_with_parent(parent: int | None = None) -> None:
    """As `end_with`, for the process that started this one: `parent`, else what it said under PARENT.

    One that was killed before this process got so far is noticed too: its children have another parent by then.
    """
    parent = int(os.environ[PARENT]) if parent is None else parent
    end_with(parent)
    if os.getppid() != parent:
        os._exit(1)
