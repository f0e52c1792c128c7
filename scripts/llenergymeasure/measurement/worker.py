"""The worker: one process, one loaded model, experiments one after the other.

Started by the manager as `python -m llenergymeasure.measurement.worker`; ends when the manager does.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.energy import prepare_meters
from llenergymeasure.measurement.channel import WORKER_DESCRIPTOR, receive, send

Command = Callable[..., dict[str, Any]]


def main() -> None:
    descriptor = int(os.environ.pop(WORKER_DESCRIPTOR))
    os.set_inheritable(descriptor, False)
    connection = Connection(descriptor)
    _end_with_the_manager(os.getppid())
    # Imports make objects by the million and no garbage: without the collector they take a seventh less time.
    gc.disable()
    message = receive(connection)
    prepare_meters(ExperimentConfig.model_validate(message["config"]).energy)
    # Imported here: the import of torch belongs to the process, not to whoever looks at this module.
    import transformers
    import transformers.modeling_utils  # the most of what a model imports

    from llenergymeasure.engine.failure import ExperimentFailure
    from llenergymeasure.measurement.session import Session

    # The log is read by people; bars that redraw themselves are not for it.
    transformers.utils.logging.disable_progress_bar()
    session = Session()
    gc.enable()
    commands: dict[str, Command] = {
        "load": session.load,
        "compile": session.compile,
        "warmup": session.warmup,
        "measure": session.measure,
    }
    try:
        while True:
            command = commands[message.pop("do")]
            answer: dict[str, Any]
            try:
                answer = {"done": command(**message)}
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
        session.close()


def _end_with_the_manager(manager: int) -> None:
    """A killed manager leaves no orphan: a thread asleep in the kernel notices that the parent is gone.

    The command loop would notice only between two experiments.
    """
    parent = os.pidfd_open(manager)

    def wait() -> None:
        import select

        select.select([parent], [], [])
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


if __name__ == "__main__":
    main()
