"""llenergymeasure: what each way of running a language model costs in joules, seconds and bytes.

snakemake --cores N                         measures config/config.yaml
snakemake --cores N --configfile my.yaml    measures that study instead
snakemake validate --cores 1                only checks the study and writes its plan
snakemake estimate --cores 1                prints what the study will take: jobs, hours, memory, disk, kWh
snakemake pin --cores 1                     resolves branch names and splits to commits in config/models.lock.yaml
snakemake replan --cores 1                  draws a new plan, as if nothing had been measured yet
snakemake doctor                            says what this machine has and lacks for the study, and what to do
snakemake rerun --cores N --config from=results/<study>    measures a study again, from what its results contain
"""

from snakemake.logging import logger
from snakemake.settings.types import Quietness
from snakemake.utils import min_version

min_version("9.17")


include: "workflow/rules/study_file.smk"
include: "workflow/rules/doctor.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/validate.smk"
include: "workflow/rules/estimate.smk"
include: "workflow/rules/model.smk"
include: "workflow/rules/prompts.smk"
include: "workflow/rules/quantize.smk"
include: "workflow/rules/load.smk"
include: "workflow/rules/warmup.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/interim.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/costs.smk"
include: "workflow/rules/rerun.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/crate.smk"


from llenergymeasure.pipeline.run.beginning import begin, check_devices, print_summary
from llenergymeasure.pipeline.run.failed_jobs import FailedJobs


# On a cluster these run where Snakemake does: a moment each, and pins need the network that nodes often lack.
localrules:
    all,
    doctor,
    estimate,
    pin,
    replan,
    rerun,
    calibrated,
    interim,
    costs,
    compare,
    report,
    crate,


rule all:
    default_target: True
    input:
        RUN.paths.validation,
        RUN.paths.report,
        RUN.paths.summary_text,
        RUN.paths.crate,
        # Named here too, so that one that was deleted is measured again.
        measured(RUN.paths.measurements),
        measured(RUN.paths.requests),
        measured(RUN.paths.power),


# The same by name, for `--config from=`.
rule rerun:
    input:
        rules.all.input,


onstart:
    # profiles/default tells Snakemake to say nothing about jobs, and with that nothing about why one failed.
    if Quietness.RULES in (workflow.output_settings.quiet or ()):
        logger.addHandler(FailedJobs(logger, Path.cwd()))
    with mistakes_end_the_call():
        check_devices(RUN)
        begin(RUN)


onsuccess:
    print_summary(RUN)
