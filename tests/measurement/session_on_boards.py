"""A whole session whose model is said to sit on simulated boards; in a process of its own, for the binding's sake.

    python session_on_boards.py '{"config": …, "snapshot": "…", "boards": ["GPU-…"]}'

prints the record of one measurement, as JSON. The model works on the CPU; the boards' driver is the simulated one.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from llenergymeasure.engine.devices import Host
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement.session import Session


def measure(order: dict[str, Any]) -> dict[str, Any]:
    Host.uuids = lambda self: order["boards"]  # type: ignore[method-assign]  # noqa: ARG005
    session = Session(Alone())
    intent = order["config"]
    try:
        session.perform(
            {"do": "load", "config": intent, "snapshots": {"model": order["snapshot"]}, "compile_cache": None}
        )
        calibration = session.perform({"do": "warmup", "config": intent, "min_window_s": 0.3, "energy_resolution": 0.5})
        outputs = calibration["outputs"]
        answer = session.perform(
            {
                "do": "measure",
                "config": intent,
                "calibration": {**calibration, "status": "ok"},
                "reference": {"experiment_id": "itself", "outputs": outputs},
            }
        )
    finally:
        session.close()
    record: dict[str, Any] = answer["record"]
    return record


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
