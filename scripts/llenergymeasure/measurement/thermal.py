"""The same temperature for every trial: power depends on it, so a hot start would be charged to a setting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from llenergymeasure.config import WarmupConfig
from llenergymeasure.measurement.calibration import Reading

POLL_S = 0.5


@dataclass(frozen=True)
class Thermal:
    """How a trial came to its temperature. °C of the hottest device, None where no device reports it; seconds.

    target_c: where the calibration's warm-up ended; window_c: where this window began
    """

    target_c: float | None
    start_c: float | None
    cooled_s: float
    extra_passes: int
    window_c: float | None
    within_band: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


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
