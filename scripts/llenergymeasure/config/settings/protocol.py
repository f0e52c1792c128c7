"""How an experiment is measured: warm-up, idle baseline, meters, and the study-wide protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from llenergymeasure.config.settings.base import Config
from llenergymeasure.records.findings import FOREIGN_LOAD
from llenergymeasure.records.ledger import Domain
from llenergymeasure.records.meters import METERS, opened_only_when_named, read_at_intervals
from llenergymeasure.records.study.plan import Design

if TYPE_CHECKING:
    Meter = str
else:
    Meter = Literal[tuple(METERS)]
Order = Design
TargetMetric = Literal[
    "energy_per_output_token_j",
    "energy_per_request_j",
    "throughput_output_tokens_per_s",
    "ttft_s",
    "tpot_s",
    "e2e_latency_s",
]


class WarmupSettings(Config):
    """When a model counts as warm, and how warm devices are when a window begins. Warm-up passes have the measured
    shapes and keywords."""

    passes: Annotated[int | None, Field(ge=0)] = None
    """A fixed number of passes. Not set: passes go on until latencies are stable."""

    cv_threshold: Annotated[float, Field(gt=0.0, le=1.0)] = 0.05
    """Latencies are stable when the coefficient of variation of the last ones is below this, and a straight line
    through them changes by less than this share from the first to the last."""

    cv_window: Annotated[int, Field(ge=2)] = 4
    """The number of last passes for that coefficient and that line."""

    max_passes: Annotated[int, Field(ge=1)] = 20
    """Stop waiting for stable latencies after this many passes; the result then says so."""

    temperature_drift_c: Annotated[float, Field(gt=0.0, le=50.0)] = 1.0
    """The temperature is stable when a straight line through its readings rises or falls by no more than this in
    `temperature_window_s`, in °C. Without a sensor, latencies alone decide."""

    temperature_window_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 60.0
    """The last seconds for that line. Less than a minute does not show a device that takes minutes to warm up."""

    temperature_band_c: Annotated[float, Field(gt=0.0, le=50.0)] = 2.0
    """All windows on a board start within this many °C of the study's temperature there, which is at most this far
    below the hottest at which a calibration ended: the worker waits for the device to cool, or heats it with further
    warm-up passes. What the band may change in the energy is in the budget."""

    temperature_timeout_s: Annotated[float, Field(ge=0.0, le=3600.0)] = 600.0
    """Stop waiting for a temperature after this many seconds; the result then says so."""


class BaselineSettings(Config):
    """Power of the idle machine, before the model is loaded and with the model resident."""

    enabled: bool = True
    """Measure the idle power. Without it there is no net energy."""

    duration_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 10.0
    """Length of one baseline in seconds. It is measured before the model is loaded, with the model resident, and
    again after the measured windows of each experiment. With the model resident it starts when power has settled."""


_METERS = (
    "Not set: every meter that works on this machine. Opened only where a study names it: "
    f"{', '.join(opened_only_when_named())}. A meter that is named and does not work is an error."
)
_POWER_INTERVAL = (
    "Time between readings in a window, in seconds, and so between samples of the power trace. For the meters that are "
    f"read in this way: {', '.join(read_at_intervals())}."
)


class EnergySettings(Config):
    """Which meters are read, and which domains the energy figures sum."""

    meters: Annotated[list[Meter] | None, Field(min_length=1, description=_METERS)] = None
    power_interval_s: Annotated[float, Field(ge=0.01, le=10.0, description=_POWER_INTERVAL)] = 0.05

    boundary: Annotated[list[Domain] | None, Field(min_length=1)] = None
    """The system boundary: the domains that the energy figures sum, of gpu, cpu (packages) and dram. Where one of them
    is not metered, the figures are empty and say why; what else is metered stays in the ledger and in the figures per
    domain. Not set: everything that is measured, or estimated where nothing is."""


class MeasurementConfig(Config):
    """The study-wide protocol. Not part of an experiment's id."""

    replicates: Annotated[int, Field(ge=1, le=1000)] = 3
    """How many times every experiment is measured, each time in a fresh process. With `target_relative_ci`: the
    minimum."""

    target_relative_ci: Annotated[float | None, Field(gt=0.0, lt=1.0)] = None
    """Replicates are added until the 95 % interval of `target_metric` is within ± this share of the mean in every
    experiment (0.01: ± 1 %). The interval is corrected for the interim analysis after each replicate. It covers the
    spread of replicates, but not the error of the meter's gain, which more replicates do not reduce. Estimated joules
    have no interval: a study whose `target_metric` is estimated ends after `replicates`."""

    target_metric: TargetMetric = "energy_per_output_token_j"
    """The metric that `target_relative_ci` refers to."""

    max_replicates: Annotated[int | None, Field(ge=4, le=200)] = None
    """With `target_relative_ci`: the maximum number of replicates. Not set: 30."""

    budget_s: Annotated[float | None, Field(gt=0.0)] = None
    """With `target_relative_ci`: the time budget for measuring, in seconds. No replicate starts that would exceed it by
    the calibrated durations. The first `replicates` are always measured."""

    order: Order = "randomised"
    """The measuring order of the model setups, and of the experiments within a setup. randomised: blocks of one
    replicate of everything, each block shuffled; interleaved: the same blocks in the study's order; reverse: every
    second block backwards; williams: blocks in which each member follows every other equally often (balanced after as
    many replicates as there are members, or twice as many if that number is odd); sequential: all replicates of a setup
    before the next, so that drift is confounded with the setup."""

    isolation: Literal["setup", "experiment"] = "setup"
    """setup: experiments with the same model setup share a process; experiment: each has its own process."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of random orders: of measuring, of calibrating, and of the boards."""

    min_window_s: Annotated[float, Field(gt=0.0)] = 10.0
    """The minimum length of a measured window in seconds: passes are repeated until it is reached (MLPerf-like runs: 60
    or 600)."""

    energy_resolution: Annotated[float, Field(gt=0.0, le=0.5)] = 0.01
    """Windows are lengthened until the error from the edges and the noise of the energy counter is below this share of
    the energy (95 %), but not beyond 600 s. The error of the sensor's gain is not part of it: longer windows do not
    reduce it."""

    foreign_load: Annotated[float, Field(gt=0.0, le=1.0)] = FOREIGN_LOAD
    """A run is `suspect` where programs that are not of the study took more than this share of the energy of its
    window, or kept its threads waiting for a core for more than this share of their time. The default is as large as
    the assumed error of RAPL's package counter. A new value holds for what is measured from then on."""

    experiment_timeout_s: Annotated[float, Field(gt=0.0)] = 3600.0
    """An experiment that takes longer than this many seconds is recorded as failed."""

    study_timeout_s: Annotated[float | None, Field(gt=0.0)] = None
    """After this many seconds a call of snakemake starts no further experiment and ends with an error; the next call
    resumes there. Not set: no limit."""

    max_consecutive_failures: Annotated[int | None, Field(ge=1)] = None
    """After this many failed experiments in a row, across sessions, the call ends with an error, instead of
    recording failures to the end of the study. Not set: the call goes on."""

    exclusive_node: bool = False
    """Measure this study on one GPU at a time, even where the machine measures on several (`--resources gpu=N`): no
    other measurement runs beside it. Otherwise neighbours share power and cooling limits, and each result says so."""

    experiments_per_session: Annotated[int, Field(ge=1)] = 100
    """The maximum number of experiments per process. A model setup with more is divided into several sessions."""

    reference: Annotated[dict[str, Any] | None, Field(min_length=1)] = None
    """The experiment whose outputs all others are compared with: the first one, in the order of the study, that every
    key matches (as in `exclude`). Not set: the reference of the existing plan, else the study's first experiment. A new
    reference triggers new measurements."""
