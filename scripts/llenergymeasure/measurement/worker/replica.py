"""A further process of an experiment: does what the worker does, on its own device, and reports through it.

Started by the worker as `python -m llenergymeasure.measurement.worker.replica`; ends when the worker does.
"""

from __future__ import annotations

import sys

from llenergymeasure.processes.imports import importing
from llenergymeasure.processes.lifeline import end_with_parent


def main() -> None:
    end_with_parent()
    with importing():
        import transformers
        import transformers.modeling_utils  # the most of what a model imports

        from llenergymeasure.engine.failure import ExperimentFailure
        from llenergymeasure.measurement.session import STOP, Session
        from llenergymeasure.measurement.worker.process_group import join_group

        transformers.utils.logging.disable_progress_bar()
    session = Session(join_group())
    while (message := session.group.share(None)) != STOP:
        try:
            session.perform(message)
        except ExperimentFailure as failure:
            print(failure.trace, file=sys.stderr, flush=True)
    session.close()


if __name__ == "__main__":
    main()
