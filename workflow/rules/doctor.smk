"""`snakemake doctor`: whether this machine is set up for the study, in one table.

The table is printed while Snakemake reads this, and then the call ends: before anything is planned or locked, so that it
also works for a study with mistakes, and without `--cores`.
"""

from snakemake.settings.types import DeploymentMethod

from llenergymeasure.pipeline.run.call import DOCTOR, targets_on_command_line

if DOCTOR in targets_on_command_line() and workflow.is_main_process:
    from llenergymeasure.pipeline.doctor.doctor import print_doctor

    sys.exit(
        print_doctor(
            config,
            [*map(Path, workflow.overwrite_configfiles)],
            conda_measures=DeploymentMethod.CONDA
            in workflow.deployment_settings.deployment_method,
        )
    )


# For `--list-rules`; the lines above have answered before it could run.
rule doctor:
    input:
        [],
