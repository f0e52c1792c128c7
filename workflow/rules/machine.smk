"""Who runs beside whom, and on how many cores.

On this machine one job at a time holds the devices, and nothing else of ours runs beside it. `--resources gpu=N` offers
N devices: then jobs measure side by side, each on devices and a share of the cores that are its own. On a cluster the
scheduler decides. In every case a job's processes see the GPUs that its model setup claims, and no others.
"""

import os
import sys
from pathlib import Path

from llenergymeasure.energy.meters.nvml.boards import look_at_boards
from llenergymeasure.pipeline.device_check import device_problems, notes
from llenergymeasure.pipeline.placement import NoDevice, require_devices
from llenergymeasure.processes.inherited import tell_jobs

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


def devices_for(setup_id):
    """How many devices a job of this setup holds."""
    needed = PLAN.setups[setup_id].devices
    if needed is None:
        return DEVICES
    if LOCAL and (DEVICES == 1 or PLAN.exclusive_node):
        return DEVICES
    # One on the processor holds a place all the same: cores of its own.
    return max(1, needed)


def threads_for(setup_id):
    """Its share of this machine's cores; on a cluster the profile's `set-threads` decides."""
    if not LOCAL:
        return 1
    return max(1, workflow.cores * devices_for(setup_id) // DEVICES)


def by_setup(share_of):
    """What `share_of` gives for the setup of a job: a plain number where all setups have the same.

    Snakemake asks a function anew for every job of a graph, and a study may have tens of thousands.
    """
    shares = {share_of(setup_id) for setup_id in PLAN.setups}
    if len(shares) == 1:
        return shares.pop()
    return lambda wildcards: share_of(setup_of(wildcards))


DEVICES_NEEDED = by_setup(devices_for)
THREADS = by_setup(threads_for)


def check_devices():
    """Before anything is measured: are there devices for every setup, and workers enough? Else the run ends with a line."""
    if not LOCAL or PINNING or REPLANNING or not measurements_missing():
        return
    boards = look_at_boards()
    claims = {setup.label: setup.devices for setup in PLAN.setups.values()}
    problems = device_problems(boards, os.environ, claims)
    if DEVICES > 1:
        try:
            require_devices(DEVICES, boards.near if boards else {})
        except NoDevice as error:
            problems.append(str(error))
        problems += [
            f"{label} needs {count} devices; use --resources gpu={count} or more"
            for label, count in claims.items()
            if (count or 1) > DEVICES
        ]
    if problems:
        end_with(problems[:1])
    for line in notes(boards):
        print(line, file=sys.stderr)


def measurements_missing():
    return any(
        not Path(path).exists()
        for path in first_replicates(PLAN.replicates, "measurements.jsonl")
    )
