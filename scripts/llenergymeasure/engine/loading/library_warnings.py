"""Keep what the libraries only log: their warnings while a model loads or first generates."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from transformers.utils.logging import warning_once

from llenergymeasure.config.problems.text import printable
from llenergymeasure.records.finding import warning

CODE = "library-warning"
LIBRARIES = ("transformers", "peft", "accelerate", "bitsandbytes", "optimum", "torch")
MESSAGES = 20
CHARACTERS = 400
# `load_report.py` checks the load report and names the parameters.
_REPORTED_ELSEWHERE = ("LOAD REPORT",)
# These concern how the libraries call each other, not the user.
_FOR_PROGRAMMERS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class LibraryWarnings:
    """Warnings for the record, each text once, at most `MESSAGES` of them; the rest are counted."""

    def __init__(self) -> None:
        self._messages: dict[str, None] = {}
        self._lock = threading.Lock()
        self._left_out = 0

    def add(self, library: str, text: str) -> None:
        """Add a text of any length, with any characters, from any thread."""
        line = printable(_COLOURS.sub("", text))
        if any(words in line for words in _REPORTED_ELSEWHERE):
            return
        message = f"{library}: {line}"
        if len(message) > CHARACTERS:
            message = message[: CHARACTERS - 1] + "…"
        with self._lock:
            if message in self._messages:
                return
            if len(self._messages) < MESSAGES:
                self._messages[message] = None
            else:
                self._left_out += 1

    def to_list(self) -> list[dict[str, str]]:
        """The warnings in the form of a record."""
        messages = [*self._messages]
        if self._left_out:
            messages.append(f"{self._left_out} further warnings of the libraries are in the log only")
        return [warning(CODE, message) for message in messages]


class _Handler(logging.Handler):
    def __init__(self, kept: LibraryWarnings) -> None:
        super().__init__(logging.WARNING)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            # The arguments do not fit the text: the log shows the fault, the record the text.
            text = str(record.msg)
        self._kept.add(record.name.partition(".")[0], text)


@contextmanager
def library_warnings() -> Iterator[LibraryWarnings]:
    """Collect the libraries' log records from WARNING on, and Python's warnings; the log gets them as before.

    What a library logs only once per process is logged again: experiments that share a process each have a record.
    """
    kept = LibraryWarnings()
    warning_once.cache_clear()
    with ExitStack() as stack:
        # Entering also makes Python forget which warnings were shown before.
        stack.enter_context(warnings.catch_warnings())
        show = warnings.showwarning

        def showwarning(message: Any, category: Any, filename: str, *rest: Any, **named: Any) -> None:
            if not issubclass(category, _FOR_PROGRAMMERS):
                kept.add(_library_from_path(filename), str(message))
            show(message, category, filename, *rest, **named)

        warnings.showwarning = showwarning
        handler = _Handler(kept)
        for name in LIBRARIES:
            logger = logging.getLogger(name)
            logger.addHandler(handler)
            stack.callback(logger.removeHandler, handler)
            if not logger.isEnabledFor(logging.WARNING):
                stack.callback(logger.setLevel, logger.level)
                logger.setLevel(logging.WARNING)
        yield kept


def _library_from_path(filename: str) -> str:
    """The package whose file gave the warning."""
    parts = re.split(r"[\\/]", filename)
    package = parts[len(parts) - parts[::-1].index("site-packages")] if "site-packages" in parts else parts[-1]
    return package.removesuffix(".py")
