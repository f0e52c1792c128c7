"""How an experiment is measured: warm-up, idle baseline, meters, and the study-wide protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from llenergymeasure.config.settings.base import Config, RuledConfig
from llenergymeasure.records.meters import METERS, opened_only_when_named, read_at_intervals

if TYPE_CHECKING:
    Meter = str
else:
    Meter = Literal[tuple(METERS)]
Order = Literal["randomised", "sequential", "interleaved", "reverse", "williams"]
TargetMetric = Literal[
    "energy_per_output_token_j",
    "energy_per_request_j",
    "throughput_output_tokens_per_s",
    "ttft_s",
    "tpot_s",
    "e2e_latency_s",
]


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
    """Power of the idle machine, before the model is loaded and with the model resident."""

    enabled: bool = True
    """Measure it; without it there is no net energy."""

    duration_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 10.0
    """How long, in seconds; before the model is loaded, with the model resident, and after the measured windows
    of each experiment. With the model resident it begins once power has settled."""


_METERS = (
    "Not set: every meter that works on this machine. Opened only where a study names it: "
    f"{', '.join(opened_only_when_named())}. A meter that is named and does not work is an error."
)
_POWER_INTERVAL = (
    "Time between readings in a window, in seconds, and so between samples of the power trace. For the meters that are "
    f"read in this way: {', '.join(read_at_intervals())}."
)


class EnergyConfig(RuledConfig):
    """Which meters are read."""

    meters: Annotated[list[Meter] | None, Field(min_length=1, description=_METERS)] = None
    power_interval_s: Annotated[float, Field(ge=0.01, le=10.0, description=_POWER_INTERVAL)] = 0.05


class MeasurementConfig(Config):
    """The study-wide protocol. Not part of an experiment's id."""

    replicates: Annotated[int, Field(ge=1, le=1000)] = 3
    """How often every experiment is measured, each time in a fresh process; with `target_relative_ci`, at least."""

    target_relative_ci: Annotated[float | None, Field(gt=0.0, lt=1.0)] = None
    """Replicates go on until the 95 % interval of `target_metric` is within ± this share of the mean in every
    experiment (0.01: ± 1 %). The interval is corrected for looking at it after each replicate, and is that of the
    replicates: the meter's gain, which no replicate makes smaller, is not in it."""

    target_metric: TargetMetric = "energy_per_output_token_j"
    """What `target_relative_ci` is about."""

    max_replicates: Annotated[int | None, Field(ge=4, le=200)] = None
    """With `target_relative_ci`: replicates at most; left out: 30."""

    budget_s: Annotated[float | None, Field(gt=0.0)] = None
    """With `target_relative_ci`: no replicate is begun that, by the calibrated durations, would bring the time spent
    measuring above this, in seconds. The first `replicates` are measured in any case."""

    order: Order = "randomised"
    """In which order things are measured, the setups and inside a setup the experiments. randomised: blocks of one
    replicate of everything, each shuffled; interleaved: the same blocks in the study's order; reverse: every second
    block backwards; williams: blocks in which each follows each other equally often (balanced after as many replicates
    as there are, twice as many where that is odd); sequential: all replicates of a setup before the next, which lines
    up drift with the setup."""

    isolation: Literal["load", "experiment"] = "load"
    """load: experiments that load the same way share a process; experiment: each has one to itself."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the measuring order, where it is random."""

    min_window_s: Annotated[float, Field(gt=0.0)] = 10.0
    """Passes are repeated until a measured window is at least this long, in seconds (MLPerf-like runs: 60 or 600)."""

    energy_resolution: Annotated[float, Field(gt=0.0, le=0.5)] = 0.01
    """Windows are made longer until the edges and the noise of the energy counter are below this share of the energy
    (95 %). The gain of the sensor is not in it: no window makes that smaller."""

    experiment_timeout_s: Annotated[float, Field(gt=0.0)] = 3600.0
    """An experiment that takes longer, in seconds, is recorded as failed."""

    study_timeout_s: Annotated[float | None, Field(gt=0.0)] = None
    """After so many seconds a call of snakemake begins no further experiment and ends with an error; the next call goes
    on from there. Left out: it takes as long as it takes."""

    max_consecutive_failures: Annotated[int | None, Field(ge=1)] = None
    """After so many experiments in a row have failed, whatever their batch, the call ends with an error instead of
    recording failures to the end of the study. Left out: it goes on."""

    exclusive_node: bool = False
    """Where a machine measures on several GPUs at a time (`--resources gpu=N`): not this study; its measurements have
    the machine to themselves. Otherwise neighbours share power and cooling limits, and each result says so."""

    experiments_per_batch: Annotated[int, Field(ge=1)] = 100
    """A process measures at most so many experiments; a setup with more is divided into several batches."""

    reference: Annotated[dict[str, Any] | None, Field(min_length=1)] = None
    """Whose output all others are compared with: the first experiment, in the order of the study, that every key
    matches (as in `exclude`). Left out: the one in the plan that is there already, else the study's first. Naming
    another one measures again."""
