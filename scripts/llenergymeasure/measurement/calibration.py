"""Find out how many passes make an experiment warm, and how many make its window long enough (as pyperf does)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from llenergymeasure.config import WarmupConfig
from llenergymeasure.energy import PhaseEnergy
from llenergymeasure.measurement.metrics.variation import coefficient_of_variation
from llenergymeasure.measurement.prompts.prompts import PromptSet
from llenergymeasure.measurement.window_length import ALLOWED, trial_s, window_for

# The prefill-only window needs no more than this share of the full window's length, if its meter allows.
PREFILL_SHARE = 0.5

# Now, in seconds, and the temperature of the hottest device in °C; None where no device reports it.
Reading = Callable[[], tuple[float, float | None]]


@dataclass(frozen=True)
class Calibration:
    """What every replicate of an experiment will do. Times in seconds, temperatures of the hottest device in °C.

    latencies_s, temperatures_c, elapsed_s: one value per warm-up pass, at its end
    resolution_window_s: how long a window must be to be well below `energy_resolution`; None where no meter has edges
    """

    warmup_passes: int
    measured_passes: int
    prefill_passes: int
    pass_s: float
    prefill_pass_s: float
    latencies_s: tuple[float, ...]
    temperatures_c: tuple[float | None, ...]
    elapsed_s: tuple[float, ...]
    cv: float | None
    stable: bool
    min_window_s: float
    energy_resolution: float
    resolution_window_s: float | None

    def to_dict(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def window_temperature_c(self) -> float | None:
        """How warm the device was when it counted as warm: what every replicate's window starts at."""
        return self.temperatures_c[-1] if self.temperatures_c else None

    @property
    def expected_s(self) -> float:
        """Time one replicate of this experiment will take in a process that has the model loaded."""
        full = (max(1, self.warmup_passes) + self.measured_passes) * self.pass_s
        return full + (self.prefill_passes + 1) * self.prefill_pass_s

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Calibration:
        """From a calibration's record, which may hold more."""
        known: dict[str, Any] = {field.name: record[field.name] for field in fields(cls)}
        trajectory = {name: tuple(known[name]) for name in ("latencies_s", "temperatures_c", "elapsed_s")}
        return cls(**{**known, **trajectory})


def calibration_record(
    calibration: Calibration, prompts: PromptSet, outputs: Sequence[Sequence[int]] | None
) -> dict[str, Any]:
    """What the worker reports of a warm-up.

    outputs: token ids of the first pass, in prompt order; None where they are not to be compared with
    """
    return {
        **calibration.to_dict(),
        "expected_s": calibration.expected_s,
        "prompts": prompts.description,
        "prompts_digest": prompts.digest,
        "outputs": [] if outputs is None else _output_rows(prompts, outputs),
    }


def _output_rows(prompts: PromptSet, outputs: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    return [
        {"request_index": place, "prompt_ids": list(prompt.input_ids), "output_ids": list(output_ids)}
        for place, (prompt, output_ids) in enumerate(zip(prompts.prompts, outputs, strict=True))
    ]


@dataclass(frozen=True)
class Trajectory:
    """What warming up looked like, pass by pass, and whether it ended flat."""

    latencies_s: tuple[float, ...]
    temperatures_c: tuple[float | None, ...]
    elapsed_s: tuple[float, ...]
    stable: bool


def calibrate(
    run_pass: Callable[[], float],
    run_prefill_pass: Callable[[], float],
    warmup: WarmupConfig,
    *,
    min_window_s: float,
    energy_resolution: float,
    reading: Reading,
    trial: Callable[[int, float], PhaseEnergy] | None,
) -> Calibration:
    """Warm up, then size the windows.

    run_pass, run_prefill_pass: one pass, and its duration in seconds
    trial: the energy of a window of that many passes of that many seconds; None where no meter has edges to keep small
    """
    warming = warm_up(run_pass, warmup, reading)
    # The first pass compiles, tunes and is instrumented: it says nothing about how long the window's passes take.
    recent = list(warming.latencies_s[1:][-warmup.cv_window :]) or [run_pass()]
    pass_s = statistics.median(recent)
    resolution_s = None
    if trial is not None:
        resolution_s = window_for(trial(passes_for(trial_s(min_window_s), pass_s), pass_s), ALLOWED * energy_resolution)
    run_prefill_pass()
    prefill_pass_s = run_prefill_pass()
    return Calibration(
        warmup_passes=len(warming.latencies_s),
        measured_passes=passes_for(max(min_window_s, resolution_s or 0.0), pass_s),
        prefill_passes=passes_for(max(min_window_s * PREFILL_SHARE, resolution_s or 0.0), prefill_pass_s),
        pass_s=pass_s,
        prefill_pass_s=prefill_pass_s,
        latencies_s=warming.latencies_s,
        temperatures_c=warming.temperatures_c,
        elapsed_s=warming.elapsed_s,
        cv=coefficient_of_variation(recent),
        stable=warming.stable,
        min_window_s=min_window_s,
        energy_resolution=energy_resolution,
        resolution_window_s=resolution_s,
    )


def warm_up(run_pass: Callable[[], float], warmup: WarmupConfig, reading: Reading) -> Trajectory:
    """Passes until latency and temperature are flat.

    With a fixed count there are that many. Otherwise waiting for latency ends after `max_passes` passes, and for
    temperature, where a device reports it, after `temperature_timeout_s` seconds.
    """
    latencies: list[float] = []
    temperatures: list[float | None] = []
    elapsed: list[float] = []
    begun_s, _ = reading()

    def trajectory(stable: bool) -> Trajectory:
        return Trajectory(tuple(latencies), tuple(temperatures), tuple(elapsed), stable)

    while warmup.passes is None or len(latencies) < warmup.passes:
        latencies.append(run_pass())
        now_s, temperature_c = reading()
        temperatures.append(temperature_c)
        elapsed.append(now_s - begun_s)
        if warmup.passes is not None:
            continue
        latency, temperature = is_flat(latencies, warmup), is_thermally_flat(temperatures, elapsed, warmup)
        if latency and temperature:
            return trajectory(stable=True)
        if (latency or len(latencies) >= warmup.max_passes) and (
            temperature or elapsed[-1] >= warmup.temperature_timeout_s
        ):
            return trajectory(stable=False)
    return trajectory(stable=True)


def is_flat(latencies: Sequence[float], warmup: WarmupConfig) -> bool:
    """Whether the last `cv_window` latencies vary by less than `cv_threshold`."""
    if len(latencies) < warmup.cv_window:
        return False
    spread = coefficient_of_variation(latencies[-warmup.cv_window :])
    return spread is not None and spread < warmup.cv_threshold


def is_thermally_flat(temperatures: Sequence[float | None], elapsed: Sequence[float], warmup: WarmupConfig) -> bool:
    """Whether the last `temperature_window_s` seconds stayed within `temperature_drift_c`; True without a sensor."""
    if temperatures[-1] is None:
        return True
    since_s = elapsed[-1] - warmup.temperature_window_s
    if since_s < 0:
        return False
    recent = [value for value, at_s in zip(temperatures, elapsed, strict=True) if at_s >= since_s and value is not None]
    return max(recent) - min(recent) <= warmup.temperature_drift_c


def passes_for(window_s: float, pass_s: float) -> int:
    """Whole passes that last at least `window_s` seconds; one at least."""
    return max(1, math.ceil(window_s / pass_s))
