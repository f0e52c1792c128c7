"""What Snakemake was called with, as plain values: opening a study depends on nothing else of Snakemake."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llenergymeasure.pipeline.provenance.rerun_source import FROM

DOCTOR, ESTIMATE, PIN, REPLAN, RERUN, TOGETHER = "doctor", "estimate", "pin", "replan", "rerun", "together"
DEFAULT_STUDY = Path("config/config.yaml")


@dataclass(frozen=True)
class Machine:
    """What Snakemake may use of the machine it runs on.

    is_local: the jobs run here, each as a child of this process; otherwise a cluster's scheduler places them
    cores: from `--cores`
    devices: how many devices jobs may hold at the same time, from `--resources gpu=N`
    quiet: how many places there are for jobs that keep a processor busy, from `--resources quiet=N`
    """

    is_local: bool = True
    cores: int = 1
    devices: int = 1
    quiet: int = 1

    @classmethod
    def local(cls, cores: int, devices: int | None, quiet: int | None) -> Machine:
        """This machine; devices and quiet are None where `--resources` does not set them."""
        devices = 1 if devices is None else devices
        return cls(cores=cores, devices=devices, quiet=devices if quiet is None else quiet)


@dataclass(frozen=True)
class SnakemakeCall:
    """One call of Snakemake.

    config: the study's settings, as Snakemake merged them from files and command line
    root: the pipeline's checkout
    config_files: those of `--configfile`; each overrides the ones before it
    has_own_study: another Snakefile has this pipeline as a module, and gives it the study's settings
    targets: those of ESTIMATE, PIN, REPLAN and RERUN that the user named
    is_main_process: False on a cluster's node, where Snakemake reads the Snakefile for one job
    """

    config: Mapping[str, Any]
    root: Path
    config_files: tuple[Path, ...] = ()
    has_own_study: bool = False
    targets: frozenset[str] = frozenset()
    is_main_process: bool = True
    machine: Machine = field(default_factory=Machine)

    @property
    def pins(self) -> bool:
        """Branch names are being resolved: the models' commits need not be known yet."""
        return PIN in self.targets

    @property
    def replans(self) -> bool:
        """The plan is drawn as if nothing had been measured yet."""
        return REPLAN in self.targets

    @property
    def measures(self) -> bool:
        """Whether devices are needed. An estimate, or a new plan, may be wanted on a machine without them."""
        return self.targets.isdisjoint({ESTIMATE, PIN, REPLAN})

    @property
    def repeats(self) -> bool:
        """The study is the one in a results folder."""
        return FROM in self.config

    @property
    def study_files(self) -> tuple[Path, ...]:
        """The files in which the study is written. Empty where a Snakefile gives it."""
        if self.config_files or self.has_own_study:
            return self.config_files
        return (self.root / DEFAULT_STUDY,)


def targets_on_command_line() -> frozenset[str]:
    """Those of DOCTOR, ESTIMATE, PIN, REPLAN, RERUN and TOGETHER that the command line names.

    Read from `sys.argv`, because Snakemake includes the Snakefile before it knows its targets, and they decide how the
    study is read.
    """
    return frozenset({DOCTOR, ESTIMATE, PIN, REPLAN, RERUN, TOGETHER}.intersection(sys.argv[1:]))


def shorten(path: Path) -> Path:
    """Relative to the working directory, where the file is below it: Snakemake makes `--configfile` absolute."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
