"""Whether a model is on this machine, as far as that can be known at once: nothing is read, and no hub is asked.

Imports no torch: asked when the study is read.
"""

from __future__ import annotations

from llenergymeasure.config.settings.model_ref import ModelRef
from llenergymeasure.models.embedded.distribution import find_entry
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.folder import find_folder


def why_missing(ref: ModelRef, revision: str | None) -> str | None:
    """What making its snapshot would say: a folder that is not there, a package without the file. Else None."""
    try:
        if ref.kind == "folder":
            find_folder(ref)
        elif ref.kind == "package":
            find_entry(ref.distribution, str(revision), ref.file)
    except SnapshotError as error:
        return str(error)
    return None
