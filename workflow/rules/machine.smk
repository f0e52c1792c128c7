"""Who runs beside whom, and on how many cores.

On this machine one job at a time holds a device, and nothing else of ours runs beside it. `--resources gpu=N` offers
N devices: then N jobs measure side by side, each on a device and a share of the cores that are its own. On a cluster
the scheduler decides.
"""

from pathlib import Path

from llenergymeasure.energy.boards import visible_boards
from llenergymeasure.measurement.placement import NoDevice, require_devices
from llenergymeasure.measurement.surroundings import tell_jobs

LOCAL = workflow.is_main_process and workflow.resource_settings.nodes is None


def offered(name, otherwise):
    """What `--resources` says of a resource on this machine."""
    given = workflow.global_resources
    return int(given[name].value) if LOCAL and name in given else otherwise


DEVICES = offered("gpu", 1)
QUIET = offered("quiet", DEVICES)

if LOCAL:
    workflow.register_resource("gpu", DEVICES)
    workflow.register_resource("quiet", QUIET)


tell_jobs(
    environments=Path(workflow.basedir, "envs"),
    workers=DEVICES,
    models_lock=Path(RESULTS, "provenance/models.lock.yaml") if RERUNNING else LOCK,
    experiment_timeout_s=STUDY.measurement.experiment_timeout_s,
)


def devices_for(load_id):
    """How many devices a job of this load holds."""
    needed = PLAN.loads[load_id].devices
    if LOCAL and (DEVICES == 1 or needed is None or PLAN.exclusive_node):
        return DEVICES
    return needed or 1


def threads_for(load_id):
    """Its share of this machine's cores; on a cluster the profile's `set-threads` decides."""
    if not LOCAL:
        return 1
    return max(1, workflow.cores * devices_for(load_id) // DEVICES)


def by_load(share_of):
    """What `share_of` gives for the load of a job: a plain number where all loads have the same.

    Snakemake asks a function anew for every job of a graph, and a study may have tens of thousands.
    """
    shares = {share_of(load_id) for load_id in PLAN.loads}
    if len(shares) == 1:
        return shares.pop()
    return lambda wildcards: share_of(load_of(wildcards))


DEVICES_NEEDED = by_load(devices_for)
THREADS = by_load(threads_for)


def check_devices():
    """Before anything runs: is there a device for every worker, and are there workers enough for every load?"""
    if not LOCAL or DEVICES == 1:
        return
    try:
        require_devices(DEVICES, visible_boards())
    except NoDevice as error:
        end_with([str(error)])
    for load in PLAN.loads.values():
        if (load.devices or 1) > DEVICES:
            end_with(
                [
                    f"{load.label} needs {load.devices} devices; use --resources gpu={load.devices} or more"
                ]
            )
