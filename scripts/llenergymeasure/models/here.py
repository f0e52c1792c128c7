"""Whether a model is on this machine, as far as that is known at once: no file is read, and no hub is asked.

Imports no torch: used while the study is read.
"""

from __future__ import annotations

from llenergymeasure.config.settings.model_ref import ModelRef
from llenergymeasure.models.embedded.distribution import find_entry
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.folder import find_folder


def why_missing(ref: ModelRef, revision: str | None) -> str | None:
    """The error that making its snapshot would raise (no such folder, no such file in the package); else None."""
    try:
        if ref.kind == "folder":
            find_folder(ref)
        elif ref.kind == "package":
            find_entry(ref.distribution, str(revision), ref.file)
    except SnapshotError as error:
        return str(error)
    return None
