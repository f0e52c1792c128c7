"""From a Snakemake job to the settings of a stage: what the scripts of load, warmup and measure have in common."""

from __future__ import annotations

import hashlib
import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from llenergymeasure.config.devices import devices_claimed
from llenergymeasure.config.problems.text import counted
from llenergymeasure.config.settings.sources import ROLES
from llenergymeasure.energy.meters.nvml.boards import visible_names
from llenergymeasure.measurement.worker.client import WorkerStopped
from llenergymeasure.pipeline.board_draw import Draw
from llenergymeasure.pipeline.placement import NoDevice, Placement, claim
from llenergymeasure.pipeline.plan.plan_index import PlanIndex, read_index, read_piece
from llenergymeasure.pipeline.progress import Progress
from llenergymeasure.pipeline.provenance.environment import describe_environment, fingerprint, installed_packages
from llenergymeasure.pipeline.provenance.provenance import keep_environment
from llenergymeasure.pipeline.provenance.rerun_record import changes, read_rerun_of
from llenergymeasure.pipeline.run_limits import RunLimits, StudyStopped
from llenergymeasure.pipeline.run_lock import AlreadyRunning, NoLock, hold
from llenergymeasure.pipeline.stages import Report, Setting
from llenergymeasure.processes.inherited import models_lock, snakemake_pid
from llenergymeasure.processes.lifeline import end_with
from llenergymeasure.records.storage.journal import Journal
from llenergymeasure.records.storage.outputs import read_outputs
from llenergymeasure.records.storage.parsing import read_record
from llenergymeasure.records.study.checks import PromptCheck
from llenergymeasure.records.study.plan import Plan, PlanError, read_plan

HANDOVER_S = 20.0
_AS_A_MODULE = (
    "a Snakefile that uses this one as a module has to call its onstart (docs/running.md shows how; with include, it "
    "must not define one of its own)"
)


@contextmanager
def run_job(snakemake: Any, title: str, *expected: type[Exception]) -> Iterator[None]:
    """Say what begins. A mistake in the study or by the user ends the job with one line, a bug with a traceback.

    Both are also in the rule's log, which is what Snakemake points to. When its Snakemake is killed, the job ends as
    well, and so do the processes it started.
    """
    pid = snakemake_pid()
    if pid is not None:
        end_with(pid)
    print(title, file=sys.stderr, flush=True)
    known: tuple[type[Exception], ...] = (
        StudyStopped,
        WorkerStopped,
        NoDevice,
        AlreadyRunning,
        NoLock,
        PlanError,
        *expected,
    )
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted; what was measured is kept, and the next call continues from here", file=sys.stderr)
        raise SystemExit(130) from None
    except known as error:
        print(error, file=sys.stderr)
        _append(Path(snakemake.log[0]), str(error))
        raise SystemExit(1) from error
    except Exception:
        _append(Path(snakemake.log[0]), traceback.format_exc().rstrip())
        raise


def _append(log: Path, text: str) -> None:
    with log.open("a", encoding="utf-8") as lines:
        print(text, file=lines)


@contextmanager
def placed(snakemake: Any) -> Iterator[Setting]:
    """What the job's stage needs, from the `snakemake` object of a script, while the job holds its devices."""
    piece = read_job_piece(snakemake)
    setup_id = piece.sessions[0].setup_id
    used = devices_claimed(piece.setup_config(setup_id)["pytorch"])
    draw = Draw(piece.seed, setup_id, int(getattr(snakemake.wildcards, "replicate", 0)))
    with claim(snakemake.resources.gpu, used, draw) as placement:
        yield setting_from_job(snakemake, piece, placement)


def setting_from_job(snakemake: Any, piece: Plan, placement: Placement) -> Setting:
    compile_cache = getattr(snakemake.input, "compile_cache", None) or snakemake.output.compile_cache
    return Setting(
        plan=piece,
        snapshots={role: Path(path) for role, path in snakemake.input.items() if role in ROLES},
        quantized=next((Path(path) for role, path in snakemake.input.items() if role == "quantized"), None),
        prompts=read_record(PromptCheck, Path(snakemake.input.prompts)),
        compile_cache=Path(compile_cache),
        min_window_s=piece.protocol.min_window_s,
        energy_resolution=piece.protocol.energy_resolution,
        foreign_load=piece.protocol.foreign_load,
        timeout_s=piece.protocol.experiment_timeout_s,
        stop_on_failure=piece.protocol.on_failure == "stop",
        environment={
            **record_environment(snakemake, Path(snakemake.params.pieces).parent),
            "placement": placement.to_dict(),
        },
        neighbours=placement.warning(),
        limits=RunLimits.of(Path(snakemake.params.pieces), piece.protocol),
        log=Path(snakemake.log[0]),
    )


def record_environment(snakemake: Any, results: Path) -> dict[str, Any]:
    """What this job runs with. The first job with this environment also writes it beside the results."""
    environment = describe_environment(Path(snakemake.scriptdir).parent, models_lock())
    keep_environment(results, environment["fingerprint"])
    return environment


def tell_what_changed(snakemake: Any) -> None:
    """In a rerun, print one line on what differs from the repeated study. RecordError where that is no longer known."""
    results = Path(snakemake.params.plan).parent
    environment = record_environment(snakemake, results)
    repeated = read_rerun_of(results)
    if repeated is None:
        return
    if differences := changes(repeated, environment, installed_packages(), visible_names()):
        print(differences, file=sys.stderr, flush=True)


def planned(snakemake: Any) -> Plan:
    """The whole plan, for jobs of the whole study. PlanError where Snakemake did not write it before the first job."""
    path = Path(snakemake.params.plan)
    plan = read_plan(path)
    if plan is None:
        raise PlanError(f"{path} was not written: {_AS_A_MODULE}")
    return plan


def read_job_piece(snakemake: Any) -> Plan:
    """The plan of the job's session, or of its setup."""
    names = snakemake.wildcards
    kind, name = ("sessions", names.session_id) if "session_id" in names.keys() else ("setups", names.setup_id)  # noqa: SIM118
    return read_piece(Path(snakemake.params.pieces), kind, name)


def indexed(snakemake: Any) -> PlanIndex:
    return _index(Path(snakemake.params.pieces))


@cache
def _index(pieces: Path) -> PlanIndex:
    index = read_index(pieces)
    assert index is not None, "Snakemake writes the plan before the first job starts"
    return index


def session_title(snakemake: Any) -> str:
    """`warmup` or `measure`, the session, how many experiments it holds, and of which setup."""
    index = indexed(snakemake)
    session_id = snakemake.wildcards.session_id
    session = index.sessions[session_id]
    label = index.setups[session.setup_id].label
    return f"{snakemake.rule} · session {session_id} · {counted(session.experiments, 'experiment')} · {label}"


def load_title(snakemake: Any) -> str:
    index = indexed(snakemake)
    setup_id = snakemake.wildcards.setup_id
    return f"load · {list(index.setups).index(setup_id) + 1} of {len(index.setups)} · {index.setups[setup_id].label}"


def reference_outputs(snakemake: Any) -> list[dict[str, Any]]:
    """The outputs of the study's reference in its warm-up, one row per request. Empty where it failed."""
    return read_outputs(Path(snakemake.input.reference), snakemake.params.reference)


def open_journal(snakemake: Any) -> Journal:
    """The journal of an interrupted job with the same calibration and reference, or a new one."""
    digest = hashlib.sha256(Path(snakemake.input.calibration).read_bytes())
    digest.update(json.dumps([snakemake.params.reference, reference_outputs(snakemake)]).encode("utf-8"))
    return _open_journal(Path(snakemake.output.measurements).parent, digest.hexdigest())


def open_warmup_journal(snakemake: Any) -> Journal:
    """The journal of an interrupted job after the same setup and for the same windows, or a new one."""
    digest = hashlib.sha256(Path(snakemake.input.record).read_bytes())
    given = [snakemake.params.min_window_s, snakemake.params.energy_resolution, fingerprint()]
    digest.update(json.dumps(given).encode("utf-8"))
    return _open_journal(Path(snakemake.output.calibration).parent, digest.hexdigest())


def _open_journal(results: Path, digest: str) -> Journal:
    """The journal beside those results, which this process alone holds.

    AlreadyRunning where the job of a call that was killed still works on it, as may happen on a cluster.
    """
    folder, name = results / ".journal", digest[:12]
    # The processes of a call that was killed on this machine need a moment to end.
    hold(folder / "running.lock", place=results, patience_s=HANDOVER_S)
    for stale in folder.glob("*.jsonl"):
        if stale.stem != name:
            stale.unlink()
    return Journal(folder / f"{name}.jsonl")


def progress_reporter(snakemake: Any) -> Report:
    """Prints one line per finished experiment."""
    results = Path(snakemake.params.pieces).parent
    replicate = int(snakemake.wildcards.replicate)
    return Progress(indexed(snakemake), read_job_piece(snakemake), replicate, results, sys.stderr).report
