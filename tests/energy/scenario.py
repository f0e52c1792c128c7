"""Runs in a process of its own, so that the real pynvml binding loads whichever library the test put in its way.

    python scenario.py '{"meters": ["nvml"], "windows": [{"seconds": 1.0}]}'

prints, as JSON, what the meters said. A window sleeps, and may give orders to the simulated library
halfway with {"control": "..."}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llenergymeasure.config import EnergyConfig
from llenergymeasure.energy import (
    MeterSet,
    MeterUnavailable,
    PhaseEnergy,
    UnknownDevice,
    open_meters,
    primary_energy,
    rapl_meter,
)


def spend(window: dict[str, Any]) -> None:
    time.sleep(window["seconds"] / 2)
    if "control" in window:
        Path(os.environ["SIM_NVML_CONTROL"]).write_text(window["control"], encoding="ascii")
    time.sleep(window["seconds"] / 2)


def measure(meters: MeterSet, order: dict[str, Any]) -> dict[str, Any]:
    synchronized: list[float] = []
    entered_s = time.perf_counter()
    with meters.window(order.get("phase", "generate"), lambda: synchronized.append(time.perf_counter())) as window:
        began_s, cpu_s = time.perf_counter(), time.process_time()
        spend(order)
        cpu_s = time.process_time() - cpu_s
    return {
        "entries": [entry.to_dict() for entry in window.entries],
        "primary": as_dict(primary_energy(window.entries, window.phase)),
        "intervals": [asdict(each) for each in window.intervals],
        "findings": [each.to_dict() for each in window.findings],
        "facts": window.facts,
        "start": window.start_monotonic_s,
        "end": window.end_monotonic_s,
        "duration": window.duration_s,
        "entered": entered_s,
        "began": began_s,
        "left": time.perf_counter(),
        "cpu": cpu_s,
        "synchronized": synchronized,
        "trace": meters.trace(),
        "trace_again": meters.trace(),
    }


def as_dict(found: PhaseEnergy) -> dict[str, Any]:
    return {
        "energy_j": found.energy_j,
        "standard_uncertainty_j": found.standard_uncertainty_j,
        "expanded_uncertainty_j": found.expanded_uncertainty_j,
        "source": found.source,
        "reason": found.reason,
    }


def run(order: dict[str, Any]) -> dict[str, Any]:
    settings = {key: order[key] for key in ("meters", "power_interval_s") if key in order}
    # model_construct: an empty list of meters is refused in a study, and must still not break a window.
    config = EnergyConfig.model_construct(**settings)
    before = set(Path.cwd().iterdir())
    try:
        meters = open_meters(config)
    except MeterUnavailable as refusal:
        return {"unavailable": str(refusal)}
    answer: dict[str, Any] = {"windows": []}
    try:
        for order_of_window in order["windows"]:
            if "restrict" in order_of_window:
                try:
                    meters.restrict(order_of_window["restrict"])
                except UnknownDevice as error:
                    answer["unknown"] = str(error)
                    continue
            answer["windows"].append(measure(meters, order_of_window))
        answer["describe"] = meters.describe()
        answer["warnings"] = meters.warnings
    finally:
        meters.close()
        meters.close()
    answer["new_files"] = [str(path) for path in set(Path.cwd().iterdir()) - before]
    answer["torch"] = "torch" in sys.modules
    return answer


if __name__ == "__main__":
    if "FAKE_POWERCAP" in os.environ:
        rapl_meter.POWERCAP = Path(os.environ["FAKE_POWERCAP"])
    print(json.dumps(run(json.loads(sys.argv[1])), allow_nan=False))
