"""What a call of Snakemake does before jobs run, never in a dry run; and what it prints after all have run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from llenergymeasure.energy.meters.nvml.boards import look_at_boards
from llenergymeasure.pipeline.device_check import device_problems, notes
from llenergymeasure.pipeline.placement import NoDevice, require_devices
from llenergymeasure.pipeline.plan.plan_index import read_index, write_pieces
from llenergymeasure.pipeline.provenance.provenance import keep_provenance, written_in
from llenergymeasure.pipeline.provenance.rerun_record import keep_rerun_of
from llenergymeasure.pipeline.run.study_run import StudyRun
from llenergymeasure.pipeline.run_limits import begin_run
from llenergymeasure.pipeline.run_lock import hold
from llenergymeasure.records.study.plan import write_plan


def check_devices(run: StudyRun) -> None:
    """NoDevice where this machine lacks the devices that a setup claims, or those that `--resources` offers.

    Prints one line per GPU that no setup gets. Checks nothing where nothing is left to measure here.
    """
    machine = run.call.machine
    if not machine.is_local or not run.call.measures or not _missing_measurements(run):
        return
    boards = look_at_boards()
    claims = {setup.label: setup.devices for setup in run.index.setups.values()}
    if problems := device_problems(boards, os.environ, claims):
        raise NoDevice(problems[0])
    if machine.devices > 1:
        require_devices(machine.devices, boards.near if boards else {})
        for label, count in claims.items():
            if (count or 1) > machine.devices:
                raise NoDevice(f"{label} needs {count} devices; use --resources gpu={count} or more")
    for line in notes(boards):
        print(line, file=sys.stderr)


def begin(run: StudyRun) -> None:
    """Lock the study's folder and write the plan, which every job reads.

    Raises:
        AlreadyRunning: another call works on this study
        RecordError: what a rerun repeats cannot be described
    """
    results = Path(run.paths.results)
    hold(Path(run.paths.running_lock), place=results)
    if run.call.pins:
        return
    assert run.plan is not None, "only the main process begins a run"
    pieces = Path(run.paths.pieces)
    begin_run(pieces)
    _keep_sources(run)
    previous_index = read_index(pieces)
    if previous_index is None or previous_index.digest != run.index.digest:
        write_pieces(run.plan, pieces)
    if run.plan != run.plan_before:
        write_plan(run.plan, Path(run.paths.plan))
    run.digests.keep()


def print_summary(run: StudyRun) -> None:
    """Print the summary in five lines, where every measurement exists."""
    summary = Path(run.paths.summary_text)
    if summary.exists() and not _missing_measurements(run):
        print("", summary.read_text(encoding="utf-8"), sep="\n", file=sys.stderr)


def _keep_sources(run: StudyRun) -> None:
    """Write beside the plan what is needed to measure the study again from its results alone."""
    results = Path(run.paths.results)
    if run.rerun is not None:
        keep_rerun_of(results, run.rerun.folder, run.rerun.before, run.rerun.asked.order)
    written = run.call.study_files if run.rerun is None else written_in(run.rerun.folder)
    keep_provenance(results, run.study, run.index, written=written, lock=run.models_lock, root=run.call.root)


def _missing_measurements(run: StudyRun) -> bool:
    measurements = run.inputs.of_first_replicates(run.paths.measurements, run.index.replicates)
    return any(not Path(path).exists() for path in measurements)
