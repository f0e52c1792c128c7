"""A thread that works while a window is open and sleeps between windows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from llenergymeasure.energy.clock import Clock


class Closable(Protocol):
    """A window; its work ends soon after `over` is set."""

    over: bool


W = TypeVar("W", bound=Closable)


class WindowThread(Generic[W]):
    """Does `work` for one window after the other. A thread that died is replaced in the next window.

    changed: to be held where a window is changed, and notified after it
    death: why the thread of this window has ended; None while it lives
    """

    def __init__(self, name: str, work: Callable[[W], None], clock: Clock) -> None:
        self.changed = threading.Condition()
        self.death: str | None = None
        self.window: W | None = None
        self._name = name
        self._work = work
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._closed = False

    def open(self, window: W) -> None:
        """Begin to work for this window."""
        with self.changed:
            self.shut()
            self.window, self.death = window, None
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self.changed.notify_all()

    def shut(self) -> W | None:
        """End the work; the window it was done for, None where none is open."""
        with self.changed:
            window, self.window = self.window, None
            if window is not None:
                window.over = True
            self.changed.notify_all()
        return window

    def close(self) -> None:
        """Let the thread end."""
        with self.changed:
            self.shut()
            self._closed = True
            self.changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        try:
            while (window := self._next()) is not None:
                self._work(window)
        except Exception as error:  # noqa: BLE001  whatever kills the thread, the window's end has to report it
            with self.changed:
                self.death = f"{type(error).__name__}: {error}"
                self.changed.notify_all()

    def _next(self) -> W | None:
        """The next window to work for; None when nothing is to come."""
        with self.changed:
            self._clock.wait_for(self.changed, lambda: self._closed or self.window is not None, None)
            return None if self._closed else self.window
