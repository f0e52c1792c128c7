"""Models as pinned artifacts, and the pins themselves.

Studies share snapshots, so nothing of one study may be an input here.
"""


rule model:
    output:
        snapshot=directory(RUN.paths.snapshot),
    log:
        RUN.paths.snapshot_log,
    wildcard_constraints:
        key=f"(?!folder-){RUN.paths.snapshot_key}",
    # With --cache, snapshots are shared between working directories.
    cache: True
    priority: RUN.priorities.model
    conda:
        "../../envs/inference.yaml"
    # A conversion keeps the processor busy: it claims the machine like everything that is measured.
    resources:
        quiet=RUN.call.machine.quiet,
    params:
        made_from=RUN.params.snapshot_recipe,
    script:
        "../../scripts/model.py"


# A folder's files can change under the same name, so its snapshot is never taken from a shared cache.
use rule model as local_model with:
    wildcard_constraints:
        key=f"folder-{RUN.paths.snapshot_key}",
    cache: False


rule pin:
    log:
        RUN.paths.log("pin"),
    conda:
        "../../envs/light.yaml"
    params:
        lock=str(RUN.models_lock),
    script:
        "../../scripts/pin.py"
