"""What the library refuses is a result; a mistake of this package is not.

Code that calls transformers, torch or bitsandbytes on the experiment's behalf runs inside `library_call`, which
turns whatever they raise into an `ExperimentFailure`. Exceptions from anywhere else are bugs and stay as they are.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

REASON_CHARACTERS = 300
NAMES = 3


class ExperimentFailure(Exception):
    """An experiment that can't be run: stage, class of the library's exception, one line of reason."""

    def __init__(self, stage: str, error_class: str, reason: str, trace: str = "") -> None:
        super().__init__(f"{stage}: {error_class}: {reason}")
        self.stage = stage
        self.error_class = error_class
        self.reason = reason
        self.trace = trace

    def args_of(self) -> tuple[str, str, str, str]:
        """The arguments that make the same failure in another process."""
        return self.stage, self.error_class, self.reason, self.trace

    def to_dict(self, log: str) -> dict[str, str]:
        return {"stage": self.stage, "class": self.error_class, "reason": self.reason, "log": log}


def library_call(stage: str) -> AbstractContextManager[None]:
    """Whatever is raised inside comes from a library that was asked to do what the experiment wants."""
    return refused_by(stage, Exception)


@contextmanager
def refused_by(stage: str, kind: type[Exception]) -> Iterator[None]:
    """An exception of that kind says that the experiment can't be run as it was asked for."""
    try:
        yield
    except ExperimentFailure:
        raise
    except kind as error:
        raise ExperimentFailure(stage, type(error).__name__, one_line(error), traceback.format_exc()) from error


def one_line(error: BaseException) -> str:
    """The first line of an exception that is not empty, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= REASON_CHARACTERS else text[: REASON_CHARACTERS - 1] + "…"


def first_few(names: Iterable[str]) -> str:
    """The first `NAMES` of them, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - NAMES} more" if len(every) > NAMES else ""
    return ", ".join(every[:NAMES]) + more
