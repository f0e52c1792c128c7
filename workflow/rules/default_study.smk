"""The default study. Looked at before Snakemake reads it, which of a file that is not YAML doesn't say the line."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from llenergymeasure.config import StudyError
from llenergymeasure.config.study import check_readable

DEFAULT_STUDY = Path(workflow.basedir) / "config/config.yaml"

try:
    here = Path.cwd()
    check_readable(
        DEFAULT_STUDY.relative_to(here)
        if DEFAULT_STUDY.is_relative_to(here)
        else DEFAULT_STUDY
    )
except StudyError as error:
    for problem in error.problems:
        print(problem.render(), file=sys.stderr)
    raise SystemExit(1)


configfile: str(DEFAULT_STUDY)
