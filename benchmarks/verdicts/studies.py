"""Simulated studies of known truth, as plain rows: what a study would have written down, and no code of the analysis.

A figure is its true value times five relative errors: of its replicate's block, of the drift up to its start, of its
process, of its own run, and of the gains of the meters that read it. Every error is added to 1 on the natural scale:
a scatter of 1 % is 1 % of the figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Floats]
RUN_S = 60.0
# Half widths of the gains that the meters state.
GAIN_BOUNDS = {"gpu": 0.05, "cpu": 0.05, "ram": 0.30}


@dataclass(frozen=True)
class DeviceReading:
    """What a meter read of one domain of one device in one run, and the bound of its relative gain."""

    device: str
    domain: str
    joules: float
    gain_bound: float


@dataclass(frozen=True)
class Run:
    """One replicate of one experiment. started_s: wall-clock, from the study's start; truth: without any error"""

    experiment: str
    setup: str
    session: str
    replicate: int
    truth: float
    observed: float
    validity: str
    started_s: float
    readings: tuple[DeviceReading, ...]


@dataclass(frozen=True)
class Disturbance:
    """One run whose figure is wrong by a factor; `suspect` where the pipeline noticed."""

    experiment: str
    replicate: int
    factor: float
    validity: str = "suspect"


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.standard_normal(shape)


@dataclass(frozen=True)
class Design:
    """What a simulated study is like. Standard deviations are relative to the figure.

    Experiments are named `setup.setting` from 0, the reference is 0.0. Experiments of one setup share a process in
    each replicate.

    process_sd, run_sd: from process to process, from run to run inside one
    block_sd: common to all runs of one replicate; drift: relative change from the study's first run to its last
    order: `blocked`, each replicate in a random order; `fixed`, each replicate in the same order; `sequential`, all
        replicates of a setup before the next setup
    effects: experiment → its true value over the reference's; spread: experiment → factor on its run_sd;
        setup_spread: setup → factor on all scatter of its processes and runs
    missing: experiment → replicates that are not there
    shares: experiment → (device, domain) → its share of the joules; empty: one device reads everything
    noise: of processes and runs, with a standard deviation of 1; over the last axis, the replicates
    """

    setups: int
    settings: int
    replicates: int
    process_sd: float = 0.01
    run_sd: float = 0.005
    block_sd: float = 0.0
    drift: float = 0.0
    order: str = "blocked"
    effects: Mapping[str, float] = field(default_factory=dict)
    spread: Mapping[str, float] = field(default_factory=dict)
    setup_spread: Mapping[int, float] = field(default_factory=dict)
    missing: Mapping[str, frozenset[int]] = field(default_factory=dict)
    disturbances: tuple[Disturbance, ...] = ()
    shares: Mapping[str, Mapping[tuple[str, str], float]] = field(default_factory=dict)
    noise: Noise = normal

    @property
    def experiments(self) -> list[str]:
        return [f"{setup}.{setting}" for setup in range(self.setups) for setting in range(self.settings)]


def simulate_study(design: Design, rng: np.random.Generator) -> list[Run]:
    """One study of this design: a row per experiment and replicate that is there."""
    starts = _starts(design, rng)
    errors = _relative_errors(design, starts, rng)
    gains = {
        meter: 1 + rng.uniform(-GAIN_BOUNDS[meter[1]], GAIN_BOUNDS[meter[1]])
        for meter in sorted({meter for shares in design.shares.values() for meter in shares})
    }
    wrong = {(one.experiment, one.replicate): one for one in design.disturbances}
    runs = []
    for name in design.experiments:
        setup, setting = map(int, name.split("."))
        for replicate in range(1, design.replicates + 1):
            if replicate in design.missing.get(name, ()):
                continue
            truth = design.effects.get(name, 1.0)
            disturbance = wrong.get((name, replicate), Disturbance(name, replicate, 1.0, "valid"))
            actual = truth * float(errors[setup, setting, replicate - 1]) * disturbance.factor
            readings = tuple(
                DeviceReading(*meter, share * actual * gains.get(meter, 1.0), GAIN_BOUNDS[meter[1]])
                for meter, share in design.shares.get(name, {("gpu0", "gpu"): 1.0}).items()
            )
            runs.append(
                Run(
                    experiment=name,
                    setup=f"setup{setup}",
                    session=f"session{setup}",
                    replicate=replicate,
                    truth=truth,
                    observed=sum(reading.joules for reading in readings),
                    validity=disturbance.validity,
                    started_s=RUN_S * float(starts[setup, setting, replicate - 1]),
                    readings=readings,
                )
            )
    return runs


def _starts(design: Design, rng: np.random.Generator) -> Floats:
    """Place of each run in the study's order, from 0; shape (setups, settings, replicates)."""
    starts = np.empty((design.setups, design.settings, design.replicates))
    if design.order == "sequential":
        processes = [(setup, replicate) for setup in range(design.setups) for replicate in range(design.replicates)]
    else:
        processes = [
            (int(setup), replicate)
            for replicate in range(design.replicates)
            for setup in (rng.permutation(design.setups) if design.order == "blocked" else range(design.setups))
        ]
    for place, (setup, replicate) in enumerate(processes):
        settings = np.arange(design.settings) if design.order == "fixed" else rng.permutation(design.settings)
        starts[setup, settings, replicate] = place * design.settings + np.arange(design.settings)
    return starts


def _relative_errors(design: Design, starts: Floats, rng: np.random.Generator) -> Floats:
    """Product of the errors of block, drift, process and run; shape (setups, settings, replicates)."""
    setup_factors = np.array([design.setup_spread.get(setup, 1.0) for setup in range(design.setups)])[:, None, None]
    factors = np.array([design.spread.get(name, 1.0) for name in design.experiments])
    block = 1 + design.block_sd * rng.standard_normal(design.replicates)
    drift = 1 + design.drift * starts / max(1, starts.size - 1)
    process = design.noise(rng, (design.setups, 1, design.replicates)) * design.process_sd * setup_factors
    run = design.noise(rng, (design.setups, design.settings, design.replicates)) * design.run_sd * setup_factors
    run *= factors.reshape(design.setups, design.settings, 1)
    return block * drift * (1 + process) * (1 + run)
