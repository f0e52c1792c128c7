"""The same temperature for every trial: power depends on it, so a hot start would be charged to a setting."""

from __future__ import annotations

import time
from collections.abc import Callable

from llenergymeasure.config import WarmupConfig
from llenergymeasure.measurement.calibration import Reading

POLL_S = 0.5


def cool_down(target_c: float | None, warmup: WarmupConfig, reading: Reading) -> tuple[float | None, float]:
    """Before the warm-up: wait until the device is no warmer than the band around the target, or the timeout.

    Returns the temperature it began with and the seconds it took.
    """
    begun_s, start_c = reading()
    now_s, now_c = begun_s, start_c
    while (
        target_c is not None
        and now_c is not None
        and now_c > target_c + warmup.temperature_band_c
        and now_s - begun_s < warmup.temperature_timeout_s
    ):
        time.sleep(POLL_S)
        now_s, now_c = reading()
    return start_c, now_s - begun_s


def heat_up(
    target_c: float | None, warmup: WarmupConfig, reading: Reading, run_pass: Callable[[], object]
) -> tuple[float | None, int]:
    """After the warm-up: further passes until the device is as warm as the band asks for, or the timeout.

    Returns the temperature it ends with and the number of passes.
    """
    begun_s, now_c = reading()
    now_s, extra = begun_s, 0
    while (
        target_c is not None
        and now_c is not None
        and now_c < target_c - warmup.temperature_band_c
        and now_s - begun_s < warmup.temperature_timeout_s
    ):
        run_pass()
        extra += 1
        now_s, now_c = reading()
    return now_c, extra


def within_band(target_c: float | None, window_c: float | None, warmup: WarmupConfig) -> bool:
    """Whether a window begins as warm as calibrated; True where no temperature is known."""
    return target_c is None or window_c is None or abs(window_c - target_c) <= warmup.temperature_band_c
