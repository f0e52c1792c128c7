"""codecarbon reports by logging and swallows exceptions: this silences its log and keeps its failures."""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("codecarbon")


class LogCapture(logging.Filter):
    """As a filter on codecarbon's logger it sees every record before any handler and lets none through.

    A handler would not do: codecarbon replaces the handlers whenever a tracker is made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.failures: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            self.failures.append(f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}")
        elif record.levelno >= logging.ERROR:
            self.failures.append(_line(record))
        elif record.levelno >= logging.WARNING:
            self.notes.append(_line(record))
        return False

    def take_failures(self) -> list[str]:
        """Failures since the last call."""
        failures, self.failures = self.failures, []
        return failures

    def install(self) -> None:
        LOGGER.addFilter(self)

    def remove(self) -> None:
        LOGGER.removeFilter(self)


def _line(record: logging.LogRecord) -> str:
    return " ".join(record.getMessage().split())
