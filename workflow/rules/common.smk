"""`RUN`: the study of this call, its plan and its paths. What needs Snakemake itself is here, the rest in pipeline/run."""

from llenergymeasure.pipeline.run.call import (
    Machine,
    SnakemakeCall,
    targets_on_command_line,
)
from llenergymeasure.pipeline.run.study_run import (
    StudyRun,
    without_garbage_collection,
)


def machine():
    """What this process may give to jobs. On a cluster it gives nothing: the scheduler places the jobs."""
    if not workflow.is_main_process or workflow.resource_settings.nodes is not None:
        return Machine(is_local=False)
    # Calls that run no job, such as --summary, --dag and --report, need no `--cores`.
    cores = workflow.resource_settings.cores or 1
    return Machine.local(cores, offered("gpu"), offered("quiet"))


def offered(resource):
    """How much of it `--resources` offers; None where it does not say."""
    given = workflow.global_resources
    return int(given[resource].value) if resource in given else None


def measured(path):
    """That file of every session and replicate. Where a study names a precision, its interim analyses decide how many.

    This returns a function, so that only a job that needs these thousands of names makes them.
    """
    return mistakes_end_the_call()(
        lambda wildcards: RUN.inputs.of_all_replicates(path, interim_record)
    )


@mistakes_end_the_call()
def interim_files(wildcards):
    return RUN.inputs.last_interim(interim_record)


def interim_record(replicates):
    """Snakemake asks again when that analysis exists. Until then it runs the jobs that measure."""
    return checkpoints.interim.get(replicates=replicates).output.record


def loaded_from(name):
    """Everything a setup reads, as inputs of a job of the rule of that name.

    They are ancient inputs: a job does not run again because its inputs are newer. Where an output is missing, or was
    made from other contents of a folder, they are plain inputs. Snakemake 9.27 does not look behind the ancient input
    of a job that has to run: it misses files that do not exist and changed parameters, and ends without an error.
    """

    def inputs(wildcards):
        sources = RUN.inputs.sources(wildcards)
        made = getattr(rules, name).output
        there = all(Path(file.format(**wildcards)).exists() for file in made)
        if name == "load":
            there = there and RUN.inputs.loaded_as_planned(wildcards.setup_id)
        if not there:
            return sources
        return {role: ancient(path) for role, path in sources.items()}

    return inputs


with mistakes_end_the_call(), without_garbage_collection():
    RUN = StudyRun.open(
        SnakemakeCall(
            config=config,
            root=checkout(),
            config_files=tuple(map(Path, workflow.overwrite_configfiles)),
            has_own_study=workflow.modifier.skip_configfile,
            targets=targets_on_command_line(),
            is_main_process=workflow.is_main_process,
            machine=machine(),
        )
    )

if RUN.warnings:
    print(*RUN.warnings, sep="\n", file=sys.stderr)

RUN.tell_jobs()

if RUN.call.machine.is_local:
    workflow.register_resource("gpu", RUN.call.machine.devices)
    workflow.register_resource("quiet", RUN.call.machine.quiet)


wildcard_constraints:
    session_id="[0-9a-f]{12}",
    setup_id="[0-9a-f]{12}",
    replicate="[0-9]+",
    replicates="[0-9]+",
