"""Find out how many passes make an experiment warm, and how many make its window long enough (as pyperf does)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from llenergymeasure.config import WarmupConfig
from llenergymeasure.energy import PhaseEnergy
from llenergymeasure.measurement.metrics.variation import coefficient_of_variation
from llenergymeasure.measurement.prompts.prompts import PromptSet
from llenergymeasure.measurement.warmth.warming import Warming
from llenergymeasure.measurement.window_length import ALLOWED, trial_s, window_for
from llenergymeasure.records.study.warmth import Warmth

# The prefill-only window needs no more than this share of the full window's length, if its meter allows.
PREFILL_SHARE = 0.5


@dataclass(frozen=True)
class Calibration:
    """What every replicate of an experiment will do. Times in seconds, temperatures of the hottest device in °C.

    warmup_passes: those after which latencies were flat; a replicate does them before it looks at its temperature
    latencies_s, temperatures_c, elapsed_s: one value per warm-up pass, at its end
    resolution_window_s: how long a window must be to be well below `energy_resolution`; None where no meter has edges
    warmth: None where no device reports its temperature
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
    warmth: Warmth | None = None

    def to_dict(self) -> dict[str, Any]:
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return {**plain, "warmth": None if self.warmth is None else self.warmth.to_plain()}

    @property
    def expected_s(self) -> float:
        """Time one replicate of this experiment will take in a process that has the model loaded.

        As if its devices were as cold as when it was calibrated: they may be warm from the experiment before it.
        """
        full = (max(1, len(self.latencies_s)) + self.measured_passes) * self.pass_s
        return full + (self.prefill_passes + 1) * self.prefill_pass_s

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Calibration:
        """From a calibration's record, which may hold more."""
        known: dict[str, Any] = {field.name: record[field.name] for field in fields(cls) if field.name != "warmth"}
        trajectory = {name: tuple(known[name]) for name in ("latencies_s", "temperatures_c", "elapsed_s")}
        warmth = record.get("warmth")
        return cls(**{**known, **trajectory, "warmth": None if warmth is None else Warmth.from_plain(warmth)})


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


def calibrate(
    warming: Warming,
    run_pass: Callable[[], float],
    run_prefill_pass: Callable[[], float],
    warmup: WarmupConfig,
    *,
    min_window_s: float,
    energy_resolution: float,
    trial: Callable[[int, float], PhaseEnergy] | None,
    warmth: Warmth | None = None,
) -> Calibration:
    """Size the windows of an experiment that has been warmed up.

    run_pass, run_prefill_pass: one pass, and its duration in seconds
    trial: the energy of a window of that many passes of that many seconds; None where no meter has edges to keep small
    warmth: how warm the devices got; None where they do not say
    """
    # The first pass compiles, tunes and is instrumented: it says nothing about how long the window's passes take.
    recent = list(warming.latencies_s[1:][-warmup.cv_window :]) or [run_pass()]
    pass_s = statistics.median(recent)
    resolution_s = None
    if trial is not None:
        resolution_s = window_for(trial(passes_for(trial_s(min_window_s), pass_s), pass_s), ALLOWED * energy_resolution)
    run_prefill_pass()
    prefill_pass_s = run_prefill_pass()
    return Calibration(
        warmup_passes=warming.steady_passes,
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
        warmth=warmth,
    )


def passes_for(window_s: float, pass_s: float) -> int:
    """Whole passes that last at least `window_s` seconds; one at least."""
    return max(1, math.ceil(window_s / pass_s))
