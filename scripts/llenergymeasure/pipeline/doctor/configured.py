"""The study that a check of the machine is for. It may have mistakes: then the machine is checked all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llenergymeasure.config import EnergyConfig, ExperimentConfig, Study, StudyError, study_from_mapping
from llenergymeasure.config.devices import devices_claimed, on_processor
from llenergymeasure.config.problems.text import counted, first_few
from llenergymeasure.config.settings.sources import SourceIntent, sources_from_intent
from llenergymeasure.config.study.study import DEFAULT_LOCK
from llenergymeasure.pipeline.doctor.table import Row
from llenergymeasure.pipeline.provenance.rerun_source import FROM
from llenergymeasure.pipeline.run.study_run import why_no_snapshot
from llenergymeasure.records.findings import FOREIGN_LOAD

_SHOWN_MISTAKES = 3


@dataclass(frozen=True)
class Configured:
    """What the study asks of a machine; all of it is empty where the study cannot be read."""

    experiments: list[ExperimentConfig] = field(default_factory=list)
    foreign_load: float = FOREIGN_LOAD
    stops_on_failure: bool = False

    @property
    def energy(self) -> EnergyConfig:
        """Of its first experiment."""
        return self.experiments[0].energy if self.experiments else EnergyConfig()

    @property
    def uses_gpus(self) -> bool:
        """Whether any experiment goes to a GPU, if there is one."""
        return any(not on_processor(vars(config.pytorch)) for config in self.experiments) or not self.experiments

    def claims(self) -> dict[str, int | None]:
        """For each model and number of GPUs that its settings claim: a name → that number, as `devices_claimed`."""
        by_claim = {
            (config.model, devices_claimed(vars(config.pytorch))): f"{config.model} in experiment {number}"
            for number, config in reversed(list(enumerate(self.experiments, start=1)))
        }
        return {name: count for (_, count), name in by_claim.items()}

    def sources(self) -> list[SourceIntent]:
        """Its models, draft models and adapters, each once."""
        every = [source for config in self.experiments for source in sources_from_intent(config.model_dump())]
        return list(dict.fromkeys(every))


def read_configured(config: Mapping[str, Any], source: Path) -> tuple[Configured, Row]:
    """The study, and the row about it. Models that are not pinned are a mistake of it, as in a run.

    source: the study's file, for line numbers
    """
    if FROM in config:
        return Configured(), Row("study", f"a rerun of {config[FROM]}: its study is not looked at here")
    try:
        study = _study(config, source, require_pins=True)
    except StudyError as mistakes:
        lines = [problem.render() for problem in mistakes.problems]
        row = Row(
            "study",
            f"{source}: {counted(len(lines), 'mistake')}",
            "problem",
            first_few(lines, _SHOWN_MISTAKES, separator=" · "),
        )
        try:
            return _configured(_study(config, source, require_pins=False)), row
        except StudyError:
            return Configured(), row
    configured = _configured(study)
    return configured, Row("study", f"{source}: {counted(len(configured.experiments), 'experiment')}")


def _study(config: Mapping[str, Any], source: Path, *, require_pins: bool) -> Study:
    return study_from_mapping(
        config,
        source=source,
        lock_path=DEFAULT_LOCK,
        require_pins=require_pins,
        missing=why_no_snapshot if require_pins else None,
    )


def _configured(study: Study) -> Configured:
    return Configured(study.expand(), study.measurement.foreign_load, study.config.on_failure == "stop")
