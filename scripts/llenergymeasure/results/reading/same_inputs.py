"""A mean is over replicates with the same prompts and the same weights."""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.results.reading.errors import ResultsError


class SameInputs:
    """Checks records one after the other. All replicates of an experiment must agree with its first."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[int, dict[str, str | None]]] = {}

    def check(self, record: MeasurementRecord, path: Path) -> None:
        """ResultsError where a replicate was measured with other prompts or weights than one before it."""
        if record.status == "failed":
            return
        digests = _read_by(record)
        replicate, first = self._first.setdefault(record.experiment_id, (record.replicate, digests))
        other = [what for what, digest in digests.items() if first.get(what) != digest]
        if other:
            what = other[0]
            raise ResultsError(
                f"{path}: replicate {record.replicate} of experiment {record.experiment_id} was measured with "
                f"other {what} than replicate {replicate} ({_short(digests[what])}, there {_short(first.get(what))}), "
                f"so they have no mean; move {path.parent.parent} away and run again, which measures all of "
                "its replicates"
            )


def _read_by(record: MeasurementRecord) -> dict[str, str | None]:
    """Digests by the name of the input."""
    prompts = None if record.prompts is None else record.prompts.digest
    return {"prompts": prompts, **{f"files of the {role}": digest for role, digest in record.weights.items()}}


def _short(digest: str | None) -> str:
    return "unknown" if digest is None else digest[:12]
