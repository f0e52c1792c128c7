"""The default study, where no other is given. Imports no torch.

This reads it before Snakemake does: where a file is not YAML, Snakemake does not name the line.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir, "scripts")))

from llenergymeasure.config.study.study import check_readable
from llenergymeasure.pipeline.run.call import DEFAULT_STUDY, shorten
from llenergymeasure.pipeline.run.mistakes import mistakes_end_the_call

# A study replaces the default one: `configfile:` would deep-merge the default's matrix into the user's.
if not workflow.overwrite_configfiles and "from" not in config:
    with mistakes_end_the_call():
        check_readable(shorten(Path(workflow.basedir, DEFAULT_STUDY)))

    configfile: str(Path(workflow.basedir, DEFAULT_STUDY))
