"""The worker: one process, one loaded model, experiments one after the other.

Started by the manager as `python -m llenergymeasure.measurement.worker`; ends when the manager does.
"""

from __future__ import annotations

import os
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.energy import prepare_meters
from llenergymeasure.measurement.worker.channel import WORKER_DESCRIPTOR, receive, send
from llenergymeasure.processes.imports import importing
from llenergymeasure.processes.lifeline import end_with_parent


def main() -> None:
    descriptor = int(os.environ.pop(WORKER_DESCRIPTOR))
    os.set_inheritable(descriptor, False)
    connection = Connection(descriptor)
    end_with_parent()
    with importing():
        message = receive(connection)
        config = ExperimentConfig.model_validate(message["config"])
        prepare_meters(config.energy)
        # Imported here, so that importing this module does not import torch.
        import transformers
        import transformers.modeling_utils  # the most of what a model imports

        from llenergymeasure.engine.failure import ExperimentFailure
        from llenergymeasure.measurement.session import STOP, Session
        from llenergymeasure.measurement.worker.process_group import open_group

        # The log is read by people; bars that redraw themselves are not for it.
        transformers.utils.logging.disable_progress_bar()
    session: Session | None = None
    try:
        while True:
            answer: dict[str, Any]
            try:
                if session is None:
                    session = Session(open_group(config))
                answer = {"done": session.perform(session.group.share(message))}
            except ExperimentFailure as failure:
                print(failure.trace, file=sys.stderr, flush=True)
                answer = {
                    "failure": {
                        "stage": failure.stage,
                        "class": failure.error_class,
                        "reason": failure.reason,
                    }
                }
            except Exception:  # noqa: BLE001 - reported to the manager, which fails the job
                trace = traceback.format_exc()
                print(trace, file=sys.stderr, flush=True)
                answer = {"bug": trace}
            send(connection, answer)
            message = receive(connection)
    except (EOFError, ConnectionError):
        if session is not None:
            session.group.share(STOP)
            session.close()


if __name__ == "__main__":
    main()
