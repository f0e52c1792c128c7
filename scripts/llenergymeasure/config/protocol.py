"""How an experiment is measured: warm-up, idle baseline, meters, and the study-wide protocol."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from llenergymeasure.config.base import Config, RuledConfig

Meter = Literal["nvml", "rapl", "codecarbon"]


class WarmupConfig(RuledConfig):
    """When a model counts as warm. Warm-up passes have the measured shapes and keywords."""

    passes: Annotated[int | None, Field(ge=0)] = None
    """A fixed number of passes; left out, passes go on until latencies are stable."""

    cv_threshold: Annotated[float, Field(gt=0.0, le=1.0)] = 0.05
    """Stable when the coefficient of variation of the last latencies is below this."""

    cv_window: Annotated[int, Field(ge=2)] = 4
    """How many last passes that coefficient is taken over."""

    max_passes: Annotated[int, Field(ge=1)] = 20
    """Give up waiting for flat latencies after this many passes; the result then says so."""

    temperature_drift_c: Annotated[float, Field(gt=0.0, le=50.0)] = 2.0
    """Stable when the device's temperature stayed within this range, in °C; without a sensor, latencies decide."""

    temperature_window_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 10.0
    """Over so many last seconds."""

    temperature_band_c: Annotated[float, Field(gt=0.0, le=50.0)] = 4.0
    """Every replicate's window starts within so many °C of the temperature its calibration ended with: the device is
    cooled by waiting, or heated by further warm-up passes."""

    max_s: Annotated[float, Field(ge=0.0, le=3600.0)] = 120.0
    """Give up waiting for a temperature after so many seconds; the result then says so."""


class BaselineConfig(RuledConfig):
    """Power of the idle machine, before the load and with the model resident."""

    enabled: bool = True
    """Measure it; without it there is no net energy."""

    duration_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 10.0
    """How long, in seconds; once before the load, once with the model resident, and again after every window."""


class EnergyConfig(RuledConfig):
    """Which meters are read."""

    meters: Annotated[list[Meter] | None, Field(min_length=1)] = None
    """Left out: every meter that works on this machine. A meter that is named and does not work is an error."""

    power_interval_s: Annotated[float, Field(ge=0.01, le=10.0)] = 0.05
    """Time between samples of the power trace, in seconds."""


class MeasurementConfig(Config):
    """The study-wide protocol. Not part of an experiment's id."""

    replicates: Annotated[int, Field(ge=1, le=1000)] = 3
    """How often every experiment is measured, each time in a fresh process and a new random order."""

    isolation: Literal["load", "experiment"] = "load"
    """load: experiments that load the same way share a process; experiment: each has one to itself."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the measuring order."""

    min_window_s: Annotated[float, Field(gt=0.0)] = 10.0
    """Passes are repeated until a measured window is at least this long, in seconds (MLPerf-like runs: 60 or 600)."""

    energy_resolution: Annotated[float, Field(gt=0.0, le=0.5)] = 0.01
    """Windows are made longer until the edges and the noise of the energy counter are below this share of the energy
    (95 %). The gain of the sensor is not in it: no window makes that smaller."""

    experiment_timeout_s: Annotated[float, Field(gt=0.0)] = 3600.0
    """An experiment that takes longer, in seconds, is recorded as failed."""

    reference: Annotated[dict[str, Any] | None, Field(min_length=1)] = None
    """Whose answer all others are compared with: the first experiment, in the order of the study, that every key
    matches (as in `exclude`). Left out: the one in the plan that is there already, else the study's first. Naming
    another one measures again."""
