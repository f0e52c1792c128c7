"""A study: the rules that it needs, and what happens before and after its jobs."""

from snakemake.logging import logger
from snakemake.settings.types import Quietness


include: "common.smk"
include: "validate.smk"
include: "estimate.smk"
include: "model.smk"
include: "prompts.smk"
include: "quantize.smk"
include: "load.smk"
include: "warmup.smk"
include: "measure.smk"
include: "interim.smk"
include: "aggregate.smk"
include: "costs.smk"
include: "rerun.smk"
include: "report.smk"
include: "crate.smk"


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
    interim,
    costs,
    compare,
    report,
    crate,


onstart:
    # profiles/default tells Snakemake to say nothing about jobs, and with that nothing about why one failed.
    if Quietness.RULES in (workflow.output_settings.quiet or ()):
        logger.addHandler(FailedJobs(logger, Path.cwd()))
    with mistakes_end_the_call():
        check_devices(RUN)
        begin(RUN)


onsuccess:
    print_summary(RUN)
