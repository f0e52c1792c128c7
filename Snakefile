"""llenergymeasure: what each way of running a language model costs in joules, seconds and bytes.

snakemake --cores N                         measures config/config.yaml
snakemake --cores N --configfile my.yaml    measures that study instead
snakemake validate --cores 1                only checks the study and writes its plan
snakemake estimate --cores 1                prints what the study will take: jobs, hours, memory, disk, kWh
snakemake pin --cores 1                     resolves branch names and splits to commits in config/models.lock.yaml
snakemake replan --cores 1                  draws a new plan, as if nothing had been measured yet
snakemake doctor                            says what this machine has and lacks for the study, and what to do
snakemake rerun --cores N --config from=results/<study>    measures a study again, from what its results contain
snakemake together --cores 1 --config "from=[results/a, results/b]"    compares results of one study, of several days
"""

from snakemake.utils import min_version

min_version("9.17")


include: "workflow/rules/study_file.smk"
include: "workflow/rules/doctor.smk"


from llenergymeasure.pipeline.run.call import targets_on_command_line
from llenergymeasure.pipeline.run.together_call import is_together

if is_together(config, targets_on_command_line()):

    include: "workflow/rules/together.smk"

    rule all:
        default_target: True
        input:
            rules.together.output,

else:

    include: "workflow/rules/study.smk"

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
