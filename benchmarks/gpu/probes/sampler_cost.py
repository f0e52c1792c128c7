"""What metering costs a decoding whose speed the host decides: passes of one row in and out of windows, alternated.

What opening and closing a window takes is not in its seconds."""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks.gpu.probes.model import generator
from benchmarks.gpu.scale import Scale, cuda_only
from llenergymeasure.config import EnergyConfig
from llenergymeasure.energy import open_meters

WARM_UP = 3
MARKS = 5000


def at_default(scale: Scale) -> dict[str, Any]:
    return _ratios(scale, EnergyConfig(meters=["nvml"]))


def at_200_ms(scale: Scale) -> dict[str, Any]:
    cuda_only(scale)  # a rehearsal has tried the same code at the default interval
    return _ratios(scale, EnergyConfig(meters=["nvml"], power_interval_s=0.2))


def _ratios(scale: Scale, config: EnergyConfig) -> dict[str, Any]:
    """Seconds of passes in a window over seconds of as many outside, in pairs whose order changes."""
    run = generator(scale, [128], scale.decode_tokens)

    def seconds() -> float:
        begun_s = time.perf_counter()
        for _ in range(scale.passes_per_window):
            run.run_pass()
        run.devices.synchronize()
        return time.perf_counter() - begun_s

    for _ in range(WARM_UP):
        seconds()
    meters = open_meters(config)
    ratios = []
    for pair in range(scale.pairs):
        took: dict[bool, float] = {}
        for metered in (True, False) if pair % 2 else (False, True):
            if metered:
                with meters.window("generate", run.devices.synchronize):
                    took[metered] = seconds()
            else:
                took[metered] = seconds()
        ratios.append(took[True] / took[False])
    meters.close()
    requests = run.read(run.take_raw())
    return {
        "interval_s": config.power_interval_s,
        "ratio": round(statistics.median(ratios), 5),
        "ratios": [round(value, 4) for value in sorted(ratios)],
        "step_s": round(statistics.median(value for item in requests for value in item.itl_s), 6),
    }


def stamp(scale: Scale) -> dict[str, float]:
    """What a time stamp on the device's clock costs the host: one per decoding step."""
    clock = generator(scale, [128], 2).devices.clock
    begun_s = time.perf_counter()
    kept = [clock.mark() for _ in range(MARKS)]
    return {"us": round((time.perf_counter() - begun_s) / len(kept) * 1e6, 3)}


QUESTIONS = {"at_default": at_default, "at_200_ms": at_200_ms, "stamp": stamp}
