"""The default study, where no other is given. Imports no torch.

This reads it before Snakemake does: where a file is not YAML, Snakemake does not name the line.
"""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError


def checkout():
    """The pipeline's folder. Snakemake may have been called with another Snakefile, which has this one as a module."""
    rules = workflow.current_basedir.get_path_or_uri(secret_free=True)
    return Path(rules, "../..").resolve()


if not (checkout() / "scripts").is_dir():
    raise WorkflowError(
        "llenergymeasure is used as a module from a place that is not on this machine's disk, so its scripts are not at "
        "hand: clone it, and write module: snakefile: path/to/the/clone/Snakefile"
    )
if {"{", "}"} & set(str(checkout())):
    raise WorkflowError(
        f"the folder of the pipeline, {checkout()}, has braces in its path, which Snakemake reads as a wildcard: rename it"
    )
sys.path.insert(0, str(checkout() / "scripts"))

from llenergymeasure.config.study.command_line import read_nested_values
from llenergymeasure.config.study.study import check_readable
from llenergymeasure.pipeline.run.call import DEFAULT_STUDY, shorten
from llenergymeasure.pipeline.run.mistakes import mistakes_end_the_call

# A study replaces the default one: `configfile:` would deep-merge the default's matrix into the user's. A Snakefile that
# uses this one as a module brings its own.
if (
    not workflow.overwrite_configfiles
    and "from" not in config
    and not workflow.modifier.skip_configfile
):
    with mistakes_end_the_call():
        check_readable(shorten(checkout() / DEFAULT_STUDY))

    configfile: str(checkout() / DEFAULT_STUDY)


if not workflow.modifier.skip_configfile:
    read_nested_values(config, workflow.config_settings.config)
