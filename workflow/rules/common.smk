"""Helpers of the rules: the study, its plan, and where things lie. Imports no torch."""

import gc
import json
import sys
from importlib.metadata import distributions
from pathlib import Path

from snakemake.logging import logger
from snakemake.settings.types import Quietness

from llenergymeasure.config import (
    StudyError,
    study_from_mapping,
    study_without_experiments,
)
from llenergymeasure.config.problems.problem import first_of_each_kind
from llenergymeasure.config.settings.quantization_key import quantizing_intent
from llenergymeasure.models.here import why_missing
from llenergymeasure.models.recipe import recipe_of
from llenergymeasure.pipeline.changed_inputs import changed_inputs, with_inputs
from llenergymeasure.pipeline.failed_jobs import FailedJobs
from llenergymeasure.pipeline.run_limits import begin_run
from llenergymeasure.pipeline.plan.inputs import InputDigests, was_loaded
from llenergymeasure.pipeline.run_lock import AlreadyRunning, hold
from llenergymeasure.pipeline.plan.plan import PlanError, plan_of, read_plan, write_plan
from llenergymeasure.pipeline.plan.plan_index import (
    index_of,
    read_index,
    read_piece,
    write_pieces,
)
from llenergymeasure.pipeline.provenance.provenance import keep_provenance, written_in
from llenergymeasure.pipeline.provenance.rerun import asked_for, kept_study, open_rerun
from llenergymeasure.pipeline.provenance.rerun_record import RecordError, keep_rerun_of
from llenergymeasure.pipeline.provenance.rerun_source import FROM, USAGE, RerunError
from llenergymeasure.pipeline.previous_validation import found_before

PINNING = "pin" in sys.argv[1:]
REPLANNING = "replan" in sys.argv[1:]
RERUNNING = FROM in config


def open_repeated():
    """What `--config from=` names, to be measured again, and its study; a mistake ends the run with a line."""
    if not RERUNNING:
        return None, None
    if PINNING or REPLANNING:
        end_with(
            [f"--config {FROM}: a rerun has its pins and its plan; name a study's file"]
        )
    try:
        asked = asked_for(config)
        if not workflow.is_main_process:
            return None, kept_study(asked)
        repeated = open_rerun(asked)
        if repeated.warning:
            print(repeated.warning, file=sys.stderr)
        return repeated, repeated.study
    except RerunError as error:
        end_with([str(error)])


def open_study():
    """The study Snakemake was given; a user's mistakes end the run with a line each.

    On a cluster's node, where Snakemake reads this for one job, its settings alone: the experiments are in the plan.
    """
    if not workflow.is_main_process:
        return study_without_experiments(config)
    if "rerun" in sys.argv[1:]:
        end_with([f"rerun: which study? {USAGE}"])
    try:
        return study_from_mapping(
            config,
            source=as_written(study_files()[-1]),
            lock_path=LOCK,
            require_pins=not PINNING,
            missing=why_no_snapshot,
        )
    except StudyError as error:
        end_with(problem.render() for problem in error.problems)


def why_no_snapshot(ref, revision):
    """Why a model can't be had here; a snapshot that was made outlives what it was made of."""
    made = Path("results/models", ref.key(revision)).exists()
    return None if made else why_missing(ref, revision)


def study_files():
    """The files the study is written in; Snakemake lays each over those before it."""
    given = workflow.overwrite_configfiles
    return [Path(path) for path in given] or [DEFAULT_STUDY]


def open_plan():
    """The study's plan (an extension of the one that is already there), the one that is there, and its index.

    On a cluster's node, where Snakemake reads this for one job, the index alone: the study is not expanded again.
    """
    try:
        if not workflow.is_main_process:
            return None, None, read_index(Path(PLAN_PIECES))
        if REPEATED:
            plan = with_inputs(REPEATED.plan, INPUTS.of)
            existing = read_plan(Path(PLAN_FILE))
            if changed := changed_inputs(existing, plan, Path(RESULTS)):
                end_with(
                    [
                        *changed,
                        "a rerun does not mix them: give it another name with --config study=…",
                    ]
                )
            return plan, existing, index_of(plan)
        existing = None if REPLANNING else read_plan(Path(PLAN_FILE))
        plan = plan_of(STUDY, existing=existing, inputs=None if PINNING else INPUTS.of)
        return plan, existing, index_of(plan, pinned=not PINNING)
    except StudyError as error:
        end_with(problem.render() for problem in error.problems)
    except PlanError as error:
        end_with([str(error)])


def loaded_from(name):
    """Everything a setup reads, as inputs of a job of the rule of that name.

    By role the snapshots of its model, assistant and adapter (their names are checked, so safe as paths), its quantized
    weights, where it has any, and what was found when its prompts were checked. When they are made again, what is there
    already is not. Where an output is missing, or was made of other contents of a folder, they are plain
    inputs: behind the ancient input of a job that has to run, Snakemake 9.27 looks for nothing that is missing and at no
    parameter, and would end there without an error.
    """

    def inputs(wildcards):
        setup = PLAN.setups[setup_of(wildcards)]
        keys = {source.role: source.key for source in setup.sources}
        if setup.quantized is not None:
            keys["quantized"] = setup.quantized
        made = getattr(rules, name).output
        there = all(Path(file.format(**wildcards)).exists() for file in made)
        if name == "load":
            there = there and was_loaded(
                Path(made.record.format(**wildcards)), setup.contents
            )
        paths = {role: f"results/models/{key}" for role, key in keys.items()}
        paths["prompts"] = f"{RESULTS}/prompts/{setup.model_key}.json"
        return {role: ancient(path) if there else path for role, path in paths.items()}

    return inputs


def setup_that_reads(wildcards):
    """The first of this study's setups that reads those quantized weights."""
    key = f"{wildcards.key}.quantized-{wildcards.recipe}"
    return next(
        setup_id for setup_id, setup in PLAN.setups.items() if setup.quantized == key
    )


def quantizing_settings(wildcards):
    """The same for every study and load that share the weights."""
    setup_id = setup_that_reads(wildcards)
    plan = WHOLE_PLAN or read_piece(Path(PLAN_PIECES), "setups", setup_id)
    return quantizing_intent(plan.setup_config(setup_id))


def versions_of(*names):
    """Of the environment Snakemake runs in; under conda the environment's file says more (trigger software-env)."""
    return {
        name: next((found.version for found in distributions(name=name)), None)
        for name in names
    }


def model_recipe(key):
    """Everything that decides what is in a snapshot; Snakemake's cache is keyed by it."""
    source = SOURCES[key]
    return recipe_of(
        source.name,
        source.revision,
        LOCK,
        is_adapter=source.role == "adapter",
        content=CONTENTS.get(key),
    )


def setup_of(wildcards):
    names = wildcards.keys()
    return (
        wildcards.setup_id
        if "setup_id" in names
        else PLAN.sessions[wildcards.session_id].setup_id
    )


def earlier_first(session_id, replicate):
    """Job priority that makes the scheduler follow the plan's order on one device."""
    return JOBS - PLAN.position(session_id, int(replicate))


def measured(name):
    """That file of every session and replicate, in the plan's order; of a study that names a precision, as interim analyses decide.

    A function, so that only a job that needs these thousands of names makes them, wherever it reads this.
    """
    if PLAN.stopping is None:
        return lambda wildcards: first_replicates(PLAN.replicates, name)
    return lambda wildcards: first_replicates(replicates_needed(), name)


def setups(wildcards):
    """The record of every setup."""
    return [f"{RESULTS}/setups/{setup_id}/load.json" for setup_id in PLAN.setups]


def first_replicates(count, name):
    """That file of every session in the first replicates, in the plan's order."""
    return [
        f"{RESULTS}/sessions/{session_id}/{replicate}/{name}"
        for session_id, replicate in PLAN.order
        if replicate <= count
    ]


def interim_files(wildcards):
    """The interim analysis that ended a study which names a precision; nothing else."""
    if PLAN.stopping is None:
        return []
    return [f"{RESULTS}/interim/{replicates_needed()}.json"]


def replicates_needed():
    """How many replicates there are, one interim analysis after the other."""
    replicates = PLAN.replicates
    while True:
        found = checkpoints.interim.get(replicates=replicates).output.record
        if json.loads(Path(found).read_text(encoding="utf-8"))["done"]:
            return replicates
        replicates += 1


def tell_failures():
    """Say why a job failed, where Snakemake is told to say nothing about jobs (profiles/default)."""
    if Quietness.RULES in workflow.output_settings.quiet:
        logger.addHandler(FailedJobs(logger, Path.cwd()))


def keep_plan():
    """Write the plan when a run begins (never in a dry run): jobs read it, so it must be there before them."""
    try:
        hold(Path(RESULTS) / ".running.lock", place=Path(RESULTS))
    except AlreadyRunning as error:
        end_with([str(error)])
    if PINNING:
        return
    begin_run(Path(PLAN_PIECES))
    keep_sources()
    kept = read_index(Path(PLAN_PIECES))
    if kept is None or kept.digest != PLAN.digest:
        write_pieces(WHOLE_PLAN, Path(PLAN_PIECES))
    if WHOLE_PLAN != PLAN_BEFORE:
        write_plan(WHOLE_PLAN, Path(PLAN_FILE))
    INPUTS.keep()


def keep_sources():
    """Write beside the plan what it takes to measure the study again from its results alone."""
    results = Path(RESULTS)
    try:
        if REPEATED:
            keep_rerun_of(results, REPEATED.folder, REPEATED.before)
    except RecordError as error:
        end_with([str(error)])
    written = written_in(REPEATED.folder) if REPEATED else study_files()
    root = Path(workflow.basedir)
    keep_provenance(results, STUDY, PLAN, written=written, lock=LOCK, root=root)


def announce():
    """The summary in five lines, at the end of a run that made one."""
    missing = [
        path
        for path in first_replicates(PLAN.replicates, "measurements.jsonl")
        if not Path(path).exists()
    ]
    summary = Path(RESULTS) / "summary.txt"
    if summary.exists() and not missing:
        print("", summary.read_text(encoding="utf-8"), sep="\n", file=sys.stderr)


def tell_warnings():
    """What is doubtful about the study, at the beginning of every call that is about it; nothing stops for it.

    A rerun repeats what was measured; what was doubtful about that stands in its report.
    """
    if PINNING or not workflow.is_main_process:
        return
    for line in changed_inputs(PLAN_BEFORE, WHOLE_PLAN, Path(RESULTS)):
        print(line, file=sys.stderr)
    study = STUDY.expansion().warnings
    record = Path(RESULTS) / "validation.json"
    libraries = found_before(record, PLAN.digest, PLAN.experiments)
    lines = [
        *first_of_each_kind(study, "plan.json"),
        *first_of_each_kind(libraries, record.name),
    ]
    if lines:
        count = len(study) + len(libraries)
        told = f"{count} warning{'' if count == 1 else 's'}; it runs all the same"
        print(f"{STUDY.name}: {told}", *lines, sep="\n", file=sys.stderr)


# The experiments stay until the end, and none of them is garbage: the collector need not go through them, neither
# while they are made nor while Snakemake builds the graph.
gc.disable()
REPEATED, STUDY = open_repeated()
# A rerun brings the pins it was measured with; its jobs find them in the new results.
LOCK = REPEATED.lock if REPEATED else Path("config/models.lock.yaml")
STUDY = STUDY or open_study()
RESULTS = f"results/{STUDY.name}"
PLAN_FILE = f"{RESULTS}/plan.json"
PLAN_PIECES = f"{RESULTS}/plan"
# What lies outside the graph: files and folders that the study only names.
INPUTS = InputDigests(Path("results/models/.digests.json"), Path("results/models"))
WHOLE_PLAN, PLAN_BEFORE, PLAN = open_plan()
tell_warnings()
gc.freeze()
gc.enable()
JOBS = len(PLAN.order)
# While models are being pinned there is nothing to setup yet.
SOURCES = {source.key: source for source in ([] if PINNING else PLAN.sources())}
CONTENTS = {
    source.key: setup.contents[source.role]
    for setup in ([] if PINNING else PLAN.setups.values())
    for source in setup.sources
    if source.role in setup.contents
}


wildcard_constraints:
    session_id="[0-9a-f]{12}",
    setup_id="[0-9a-f]{12}",
    replicate="[0-9]+",
    replicates="[0-9]+",
