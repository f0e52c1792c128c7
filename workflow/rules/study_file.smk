"""Which file the study is in, where none is given. Imports no torch.

The default study is looked at before Snakemake reads it, which of a file that is not YAML doesn't say the line.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from llenergymeasure.config import StudyError
from llenergymeasure.config.study.study import check_readable

DEFAULT_STUDY = Path(workflow.basedir) / "config/config.yaml"


def as_written(path):
    """Relative to the working directory where it can be: Snakemake makes --configfile absolute."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def end_with(lines):
    for line in lines:
        print(line, file=sys.stderr)
    raise SystemExit(1)


# A study replaces the default one: `configfile:` would deep-merge the default's matrix into the user's.
if not workflow.overwrite_configfiles and "from" not in config:
    try:
        check_readable(as_written(DEFAULT_STUDY))
    except StudyError as error:
        end_with(problem.render() for problem in error.problems)

    configfile: str(DEFAULT_STUDY)
