"""Two identical experiments of a session on a simulated board that warms up under load; in a process of its own.

    python session_on_a_warm_board.py '{"config": …, "snapshot": "…", "board": "GPU-…", "control": "…"}'

prints the calibrations and the records, as JSON. The model works on the CPU; the board's driver is the simulated one.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from llenergymeasure.engine.devices import Host
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement.passes import Passes
from llenergymeasure.measurement.session import Session
from llenergymeasure.pipeline.temperatures import add_boards
from llenergymeasure.records.calibration import CalibratedExperiment, SessionCalibration
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.study.warmth import NO_TEMPERATURES

IDLE_C, HOT_C, TAU_S, STEP_S = 40.0, 77.0, 2.0, 0.02


class Warming(threading.Thread):
    """One thermal mass: towards 77 °C while passes run, towards 40 °C while none does."""

    def __init__(self, control: Path) -> None:
        super().__init__(daemon=True)
        self.running = 0
        self._control, self._temperature_c, self._told = control, IDLE_C, 0

    def run(self) -> None:
        last_s = time.perf_counter()
        while True:
            now_s = time.perf_counter()
            rest_c = HOT_C if self.running else IDLE_C
            self._temperature_c = rest_c + (self._temperature_c - rest_c) * math.exp((last_s - now_s) / TAU_S)
            if round(self._temperature_c) != self._told:
                self._told = round(self._temperature_c)
                new = self._control.with_suffix(".new")
                new.write_text(f"0 process {os.getpid()}\n0 celsius {self._told}\n", encoding="ascii")
                new.replace(self._control)
            last_s = now_s
            time.sleep(STEP_S)


def main(order: dict[str, Any]) -> dict[str, Any]:
    Host.uuids = lambda self: [order["board"]]  # type: ignore[method-assign]  # noqa: ARG005
    board = Warming(Path(order["control"]))
    board.start()
    plain = Passes.run

    def run(self: Passes, passes: int, **keywords: Any) -> None:
        board.running += 1
        try:
            plain(self, passes, **keywords)
        finally:
            board.running -= 1

    Passes.run = run  # type: ignore[method-assign]
    session = Session(Alone())
    intent = order["config"]
    try:
        session.perform(
            {"do": "load", "config": intent, "snapshots": {"model": order["snapshot"]}, "compile_cache": None}
        )
        asked = {"do": "warmup", "config": intent, "min_window_s": 0.5, "energy_resolution": 0.5}
        replies = [session.perform(asked) for _ in range(2)]
        outputs = [reply.pop("outputs") for reply in replies]
        plain_calibrations = [{**reply, "status": "ok", "failure": None} for reply in replies]
        calibration = SessionCalibration(
            schema_version=SCHEMA_VERSION,
            session_id="0" * 12,
            setup_id="0" * 12,
            fingerprint="",
            startup_s=0.0,
            experiments={
                str(place): CalibratedExperiment.from_plain(reply) for place, reply in enumerate(plain_calibrations)
            },
        )
        same = {
            "reference": {"experiment_id": "0", "outputs": outputs[0]},
            "temperatures": add_boards(NO_TEMPERATURES, [calibration]).to_plain(),
        }
        records = [
            session.perform({"do": "measure", "config": intent, "calibration": reply, **same})["record"]
            for reply in plain_calibrations
        ]
    finally:
        session.close()
    return {"calibrations": replies, "records": records, "temperatures": same["temperatures"]}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
