"""Seconds that the jobs of a study still take: from the calibrations that exist, otherwise by a guess."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.measurement.calibration import PREFILL_SHARE, passes_for
from llenergymeasure.pipeline.estimate.roofline import PassTime
from llenergymeasure.records.calibration import SessionCalibration

# Seconds until a process has imported its libraries, and bytes of weights that it then reads per second.
IMPORT_S, LOAD_BYTES_PER_S = 8.0, 1e9
# Seconds that a torch.compile takes, once per shape: of the order of half a minute to some minutes.
COMPILE_S = 60.0
# Passes that a warm-up without a fixed number takes beside the last `cv_window`, which have to be stable.
_FIRST_PASSES = 2


@dataclass(frozen=True)
class Guess:
    """Seconds of an experiment: of its warm-up and calibration, and of a replicate in a process that has the model."""

    warmup_s: float
    replicate_s: float


def guess_experiment(config: ExperimentConfig, pass_time: PassTime, *, min_window_s: float, is_gpu: bool) -> Guess:
    """What the calibration would say, if a pass takes that long."""
    warm = config.warmup.passes
    if warm is None:
        warm = min(config.warmup.cv_window + _FIRST_PASSES, config.warmup.max_passes)
        if is_gpu:
            # The temperature has to be stable over a window of its own.
            warm = max(warm, math.ceil(config.warmup.temperature_window_s / pass_time.whole_s))
    windows_s = passes_for(min_window_s, pass_time.whole_s) * pass_time.whole_s
    prefills_s = passes_for(min_window_s * PREFILL_SHARE, pass_time.prefill_s) * pass_time.prefill_s
    warmup_s = max(1, warm) * pass_time.whole_s + 3 * pass_time.prefill_s
    # A trial window shows the meter's noise: at least a second.
    trial_s = max(min_window_s, 1.0) if is_gpu else 0.0
    return Guess(warmup_s + trial_s, warmup_s + windows_s + prefills_s)


def start_s(weight_bytes: int, config: ExperimentConfig) -> float:
    """From starting a process until the model is loaded, and compiled where the study asks for it."""
    return IMPORT_S + weight_bytes / LOAD_BYTES_PER_S + (COMPILE_S if config.pytorch.torch_compile else 0.0)


def idle_s(configs: list[ExperimentConfig]) -> float:
    """Seconds of idle windows in one replicate of a session: two at its start, one after each experiment."""
    lengths = [config.baseline.duration_s for config in configs if config.baseline.enabled]
    return sum(lengths) + (2 * lengths[0] if lengths else 0.0)


def calibrated_replicate_s(calibration: SessionCalibration, configs: list[ExperimentConfig]) -> float:
    """Of one replicate, with its idle windows."""
    return calibration.replicate_s + idle_s(configs)
