"""From a Snakemake job to the settings of a stage: what the scripts of load, warmup and measure have in common."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llenergymeasure.config import Study, study_from_mapping
from llenergymeasure.config.sources import ROLES
from llenergymeasure.engine.environment import describe_environment
from llenergymeasure.measurement.journal import Journal
from llenergymeasure.measurement.outputs import read_outputs
from llenergymeasure.measurement.plan import Plan, read_plan
from llenergymeasure.measurement.progress import Progress, label
from llenergymeasure.measurement.stages import Report, Setting, StudyStopped

LOCK = Path("config/models.lock.yaml")


@contextmanager
def run_job(title: str, *expected: type[Exception]) -> Iterator[None]:
    """Say what begins; end with one line for errors that are the study's or the user's, with a traceback for ours."""
    print(title, file=sys.stderr, flush=True)
    known: tuple[type[Exception], ...] = (StudyStopped, *expected)
    try:
        yield
    except known as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from error


def setting_of(snakemake: Any) -> Setting:
    """What the job's stage needs, from the `snakemake` object of a script."""
    plan = planned(snakemake)
    compile_cache = getattr(snakemake.input, "compile_cache", None) or snakemake.output.compile_cache
    return Setting(
        plan=plan,
        snapshots={role: Path(path) for role, path in snakemake.input.items() if role in ROLES},
        compile_cache=Path(compile_cache),
        min_window_s=plan.protocol["min_window_s"],
        energy_resolution=plan.protocol["energy_resolution"],
        timeout_s=plan.protocol["experiment_timeout_s"],
        stop_on_failure=plan.protocol["on_failure"] == "stop",
        environment=describe_environment(Path(snakemake.scriptdir).parent, LOCK),
        log=Path(snakemake.log[0]),
    )


def study_of(snakemake: Any, *, require_pins: bool = True) -> Study:
    """The study as Snakemake holds it; it was checked when the Snakefile was read."""
    return study_from_mapping(snakemake.config, lock_path=LOCK, require_pins=require_pins)


def planned(snakemake: Any) -> Plan:
    plan = read_plan(Path(snakemake.params.plan))
    assert plan is not None, "Snakemake writes the plan before the first job starts"
    return plan


def batch_title(snakemake: Any) -> str:
    """`warmup` or `measure`, the batch, and how many experiments of which load it holds."""
    plan = planned(snakemake)
    batch = plan.batch(snakemake.wildcards.batch_id)
    return (
        f"{snakemake.rule} · batch {batch.batch_id} · {len(batch.experiments)} experiments · "
        f"{load_label(plan, batch.load_id)}"
    )


def load_title(snakemake: Any) -> str:
    plan = planned(snakemake)
    load_id = snakemake.wildcards.load_id
    return f"load · {plan.load_ids.index(load_id) + 1} of {len(plan.load_ids)} · {load_label(plan, load_id)}"


def load_label(plan: Plan, load_id: str) -> str:
    """What tells this load from the others: the matrix values its experiments agree on."""
    members = [entry["axes"] for entry in plan.experiments.values() if entry["load_id"] == load_id]
    common = {
        path: value
        for path, value in members[0].items()
        if value is not None and all(axes.get(path) == value for axes in members)
    }
    return label(common) or f"load {load_id}"


def read_json(path: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return record


def reference_outputs(snakemake: Any) -> list[dict[str, Any]]:
    """What the study's reference put out in its warm-up, a row a request; none where it failed."""
    return read_outputs(Path(snakemake.input.reference), snakemake.params.reference)


def open_journal(snakemake: Any) -> Journal:
    """What an interrupted job of the same calibration and reference has measured already, or a fresh journal."""
    digest = hashlib.sha256(Path(snakemake.input.calibration).read_bytes())
    digest.update(json.dumps([snakemake.params.reference, reference_outputs(snakemake)]).encode("utf-8"))
    name = digest.hexdigest()[:12]
    folder = Path(snakemake.output.measurements).parent / ".journal"
    for stale in folder.glob("*.jsonl"):
        if stale.stem != name:
            stale.unlink()
    return Journal(folder / f"{name}.jsonl")


def reporter_of(snakemake: Any) -> Report:
    """Prints a line for each experiment that is through."""
    results = Path(snakemake.params.plan).parent
    return Progress(planned(snakemake), results, sys.stderr).report
