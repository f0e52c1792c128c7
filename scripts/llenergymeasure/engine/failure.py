"""A refusal of the library is a result; a mistake of this package is not.

Code that calls transformers, torch or bitsandbytes on the experiment's behalf runs inside `library_call`, which
turns whatever they raise into an `ExperimentFailure`. Exceptions from anywhere else are bugs and stay as they are.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from llenergymeasure.config.problems.text import first_line, shortened

REASON_CHARACTERS = 300
# The library's advice, an argument of its call, is on a later line.
_OWN_CODE = "contains custom code which must be executed"
_OWN_CODE_ADVICE = (
    "the model contains custom code (auto_map in its config.json), which may not run here; set "
    "pytorch.trust_remote_code: true if you trust it"
)


class ExperimentFailure(Exception):
    """An experiment that cannot run: stage, class of the library's exception, one line of reason."""

    def __init__(self, stage: str, error_class: str, reason: str, trace: str = "") -> None:
        super().__init__(f"{stage}: {error_class}: {reason}")
        self.stage = stage
        self.error_class = error_class
        self.reason = reason
        self.trace = trace

    def constructor_args(self) -> tuple[str, str, str, str]:
        """The arguments that make the same failure in another process."""
        return self.stage, self.error_class, self.reason, self.trace


class KeyRefused(ValueError):
    """A key of a mapping that is handed to a library: what is wrong with it, and what to write instead."""

    def __init__(self, key: str, message: str, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.key, self.message, self.hint = key, message, hint


def library_call(stage: str) -> AbstractContextManager[None]:
    """Whatever is raised inside comes from a library that was asked to do what the experiment wants."""
    return refused_by(stage, Exception)


@contextmanager
def refused_by(stage: str, kind: type[Exception]) -> Iterator[None]:
    """An exception of that kind means that the experiment cannot run as requested."""
    try:
        yield
    except ExperimentFailure:
        raise
    except kind as error:
        raise ExperimentFailure(stage, type(error).__name__, one_line(error), traceback.format_exc()) from error


def one_line(error: BaseException) -> str:
    """The first line of an exception that carries information, shortened."""
    if _OWN_CODE in str(error):
        return _OWN_CODE_ADVICE
    return shortened(first_line(error), REASON_CHARACTERS)
