"""How a call of Snakemake ends when the user has to change something."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from llenergymeasure.config import StudyError
from llenergymeasure.pipeline.placement import NoDevice
from llenergymeasure.pipeline.provenance.rerun_record import RecordError
from llenergymeasure.pipeline.provenance.rerun_source import RerunError
from llenergymeasure.pipeline.run.together_call import TogetherError
from llenergymeasure.pipeline.run_lock import AlreadyRunning, NoLock
from llenergymeasure.records.study.plan import PlanError

MISTAKES = (StudyError, PlanError, RerunError, RecordError, TogetherError, NoDevice, AlreadyRunning, NoLock)


@contextmanager
def mistakes_end_the_call() -> Iterator[None]:
    """Print one line per mistake, without a traceback, and end this process with exit code 1."""
    try:
        yield
    except MISTAKES as mistake:
        print(mistake, file=sys.stderr)
        raise SystemExit(1) from mistake
