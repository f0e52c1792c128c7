"""Which files the jobs of a rule read: what the input functions of the rules return, without Snakemake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from llenergymeasure.models.snapshot import is_refused
from llenergymeasure.pipeline.plan.inputs import was_loaded
from llenergymeasure.pipeline.plan.plan_index import PlanIndex
from llenergymeasure.pipeline.run.paths import StudyPaths
from llenergymeasure.records.storage.parsing import BrokenRecord, read_record
from llenergymeasure.records.study.interim import InterimAnalysis
from llenergymeasure.records.study.plan import PlanError

Wildcards = Mapping[str, str]
"""Snakemake's wildcards of a job, by name."""

InterimRecord = Callable[[int], str]
"""Number of replicates → path of the record of the interim analysis after them, once that job has run."""


class RuleInputs:
    """The inputs of the rules; index: that of the study's plan."""

    def __init__(self, index: PlanIndex, paths: StudyPaths) -> None:
        self._index = index
        self._paths = paths

    def sources(self, wildcards: Wildcards) -> dict[str, str]:
        """Everything that a job's setup reads, by role.

        These are the snapshots of its model, assistant and adapter (their names are checked, so they are safe as
        paths), its quantized weights, where it has any, and the result of the check of its prompts.
        """
        setup = self._index.setups[self._index.setup_of_job(wildcards)]
        keys = {source.role: source.key for source in setup.sources}
        if setup.quantized is not None:
            keys["quantized"] = setup.quantized
        paths = {role: self._paths.snapshot.format(key=key) for role, key in keys.items()}
        return {**paths, "prompts": self._paths.prompts.format(key=setup.model_key)}

    def loaded_as_planned(self, setup_id: str) -> bool:
        """Whether the record of that setup belongs to the present contents of its folders.

        Never where a model of it could not be had: each call tries again to get one from a hub.
        """
        setup = self._index.setups[setup_id]
        if any(is_refused(Path(self._paths.snapshot.format(key=source.key))) for source in setup.sources):
            return False
        record = Path(self._paths.load_record.format(setup_id=setup_id))
        return was_loaded(record, setup.contents)

    def load_record(self, wildcards: Wildcards) -> str:
        """The record of the setup of a session."""
        return self._paths.load_record.format(setup_id=self._index.setup_of_job(wildcards))

    def compile_cache(self, wildcards: Wildcards) -> str:
        """The compile cache of the setup of a session."""
        return self._paths.compile_cache.format(setup_id=self._index.setup_of_job(wildcards))

    def reference_outputs(self) -> str:
        """The outputs that all others are compared with."""
        return self._paths.outputs.format(session_id=self._index.reference_session)

    def load_records(self) -> list[str]:
        return [self._paths.load_record.format(setup_id=setup_id) for setup_id in self._index.setups]

    def calibrations(self) -> list[str]:
        return [self._paths.calibration.format(session_id=session_id) for session_id in self._index.sessions]

    def of_first_replicates(self, path: str, replicates: int) -> list[str]:
        """That file of every session in the first replicates, in the plan's order."""
        return [
            path.format(session_id=session_id, replicate=replicate)
            for session_id, replicate in self._index.order
            if replicate <= replicates
        ]

    def of_all_replicates(self, path: str, interim_record: InterimRecord) -> list[str]:
        """That file of every session and replicate, in the plan's order."""
        return self.of_first_replicates(path, self._replicates(interim_record))

    def last_interim(self, interim_record: InterimRecord) -> list[str]:
        """The interim analysis that ended a study which names a precision. Empty for other studies."""
        if self._index.stopping is None:
            return []
        return [self._paths.interim.format(replicates=self._replicates(interim_record))]

    def _replicates(self, interim_record: InterimRecord) -> int:
        """The planned number of replicates, or the number that the interim analyses decide, one after the other."""
        replicates = self._index.replicates
        if self._index.stopping is None:
            return replicates
        while not _read_interim(Path(interim_record(replicates))).done:
            replicates += 1
        return replicates


def _read_interim(path: Path) -> InterimAnalysis:
    try:
        return read_record(InterimAnalysis, path)
    except BrokenRecord as error:
        raise PlanError(error.advise("delete it and run again")) from error
