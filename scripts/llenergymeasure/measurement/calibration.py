"""Find out how many passes make an experiment warm, and how many make its window long enough (as pyperf does)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from llenergymeasure.config import WarmupConfig

# The prefill-only window needs no more than this share of the full window's length.
PREFILL_SHARE = 0.5


@dataclass(frozen=True)
class Calibration:
    """What every replicate of an experiment will do. Times in seconds."""

    warmup_passes: int
    measured_passes: int
    prefill_passes: int
    pass_s: float
    prefill_pass_s: float
    latencies_s: tuple[float, ...]
    cv: float | None
    stable: bool
    min_window_s: float

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "latencies_s": list(self.latencies_s)}

    @property
    def expected_s(self) -> float:
        """Time one replicate of this experiment will take in a process that has the model loaded."""
        full = (max(1, self.warmup_passes) + self.measured_passes) * self.pass_s
        return full + (self.prefill_passes + 1) * self.prefill_pass_s

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Calibration:
        """From a calibration's record, which may hold more."""
        known = {field.name: record[field.name] for field in fields(cls)}
        return cls(**{**known, "latencies_s": tuple(record["latencies_s"])})


def calibrate(
    run_pass: Callable[[], float],
    run_prefill_pass: Callable[[], float],
    warmup: WarmupConfig,
    min_window_s: float,
) -> Calibration:
    """Warm up, then size the windows. `run_pass` runs one pass and returns its duration in seconds."""
    latencies, stable = warm_up(run_pass, warmup)
    # The first pass compiles, tunes and is instrumented: it says nothing about how long the window's passes take.
    recent = latencies[1:][-warmup.cv_window :] or [run_pass()]
    pass_s = statistics.median(recent)
    run_prefill_pass()
    prefill_pass_s = run_prefill_pass()
    return Calibration(
        warmup_passes=len(latencies),
        measured_passes=passes_for(min_window_s, pass_s),
        prefill_passes=passes_for(min_window_s * PREFILL_SHARE, prefill_pass_s),
        pass_s=pass_s,
        prefill_pass_s=prefill_pass_s,
        latencies_s=tuple(latencies),
        cv=coefficient_of_variation(recent),
        stable=stable,
        min_window_s=min_window_s,
    )


def warm_up(run_pass: Callable[[], float], warmup: WarmupConfig) -> tuple[list[float], bool]:
    """Latencies of all warm-up passes in seconds, and whether the last ones were flat.

    A fixed count is taken at its word; otherwise passes go on until the coefficient of variation of the last
    `cv_window` latencies is below `cv_threshold`, `max_passes` at most.
    """
    latencies: list[float] = []
    limit = warmup.passes if warmup.passes is not None else warmup.max_passes
    while len(latencies) < limit:
        latencies.append(run_pass())
        if warmup.passes is None and is_flat(latencies, warmup):
            break
    return latencies, warmup.passes is not None or is_flat(latencies, warmup)


def is_flat(latencies: Sequence[float], warmup: WarmupConfig) -> bool:
    if len(latencies) < warmup.cv_window:
        return False
    spread = coefficient_of_variation(latencies[-warmup.cv_window :])
    return spread is not None and spread < warmup.cv_threshold


def coefficient_of_variation(values: Sequence[float]) -> float | None:
    """Sample standard deviation over mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    return statistics.stdev(values) / statistics.fmean(values)


def passes_for(window_s: float, pass_s: float) -> int:
    """Whole passes that last at least `window_s` seconds; one at least."""
    return max(1, math.ceil(window_s / pass_s))
