"""What metering costs a decoding whose speed the host decides: passes of one row in and out of windows, alternated.

The seconds do not include the time of opening and closing a window. The host has noise of its own: it makes as many
steps long outside of windows as inside; the sampler makes steps long only inside.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.gpu.probes.model import generator
from benchmarks.gpu.scale import Scale, cuda_only
from llenergymeasure.config import EnergyConfig
from llenergymeasure.energy import open_meters

# Stretches before the first pair: the first one makes cuDNN's plans for every length of the cache.
WARM_UP = 2
MARKS = 5000
# A step is long from this multiple of the median step on.
LONG = 1.3


def at_default(scale: Scale) -> dict[str, Any]:
    return _compared(scale, EnergyConfig(meters=["nvml"]), scale.pairs)


def at_200_ms(scale: Scale) -> dict[str, Any]:
    cuda_only(scale)  # a rehearsal has tried the same code at the default interval
    return _compared(scale, EnergyConfig(meters=["nvml"], power_interval_s=0.2), scale.pairs // 2)


def _compared(scale: Scale, config: EnergyConfig, pairs: int) -> dict[str, Any]:
    """Seconds of passes in a window over seconds of as many outside, in pairs whose order changes, and their steps."""
    run = generator(scale, [128], scale.decode_tokens)

    def seconds() -> float:
        begun_s = time.perf_counter()
        for _ in range(scale.passes_per_window):
            run.run_pass()
        run.devices.synchronize()
        return time.perf_counter() - begun_s

    for _ in range(WARM_UP):
        seconds()
    run.take_raw()
    meters = open_meters(config)
    ratios = []
    steps_s: dict[bool, list[float]] = {True: [], False: []}
    for pair in range(pairs):
        took: dict[bool, float] = {}
        for metered in (True, False) if pair % 2 else (False, True):
            if metered:
                with meters.window("generate", run.devices.synchronize):
                    took[metered] = seconds()
            else:
                took[metered] = seconds()
            steps_s[metered] += [step_s for item in run.read(run.take_raw()) for step_s in item.itl_s]
        ratios.append(took[True] / took[False])
    meters.close()
    return {
        "interval_s": config.power_interval_s,
        "ratio": round(statistics.median(ratios), 5),
        "ratio_standard_error": standard_error(ratios),
        "ratios": [round(value, 4) for value in sorted(ratios)],
        **describe_steps(steps_s[True], steps_s[False]),
    }


def standard_error(values: Sequence[float]) -> float | None:
    """Of the median, as if the values were normal; None for fewer than two."""
    if len(values) < 2:
        return None
    return round(math.sqrt(math.pi / 2 / len(values)) * statistics.stdev(values), 5)


def describe_steps(inside_s: Sequence[float], outside_s: Sequence[float]) -> dict[str, float]:
    """Median seconds of the decoding steps in and out of windows, and the shares of them that are long.

    A step is long where it takes more than LONG times the median of all.
    """
    long_s = LONG * statistics.median([*inside_s, *outside_s])
    return {
        "step_inside_s": round(statistics.median(inside_s), 6),
        "step_outside_s": round(statistics.median(outside_s), 6),
        "long_steps_inside": round(sum(step_s > long_s for step_s in inside_s) / len(inside_s), 4),
        "long_steps_outside": round(sum(step_s > long_s for step_s in outside_s) / len(outside_s), 4),
    }


def stamp(scale: Scale) -> dict[str, float]:
    """What a time stamp on the device's clock costs the host: one per decoding step."""
    clock = generator(scale, [128], 2).devices.clock
    begun_s = time.perf_counter()
    kept = [clock.mark() for _ in range(MARKS)]
    return {"us": round((time.perf_counter() - begun_s) / len(kept) * 1e6, 3)}


# The limit is judged by the first one; the last one has the time that is left.
QUESTIONS = {"at_default": at_default, "stamp": stamp, "at_200_ms": at_200_ms}
