"""What a user asks for: studies, experiments, their settings and rules. Nothing here imports torch."""

from llenergymeasure.config import introspection, ssot
from llenergymeasure.config.problems.problem import Problem, StudyError
from llenergymeasure.config.rules.checked import (
    BaselineConfig,
    DatasetConfig,
    DecoderConfig,
    EnergyConfig,
    ExperimentConfig,
    PyTorchConfig,
    WarmupConfig,
)
from llenergymeasure.config.settings.costs import CostsConfig
from llenergymeasure.config.settings.experiment import PassthroughConfig
from llenergymeasure.config.settings.hashes import compute_config_hash, compute_setup_hash
from llenergymeasure.config.settings.protocol import MeasurementConfig
from llenergymeasure.config.settings.slo import SloConfig
from llenergymeasure.config.settings.study_config import StudyConfig
from llenergymeasure.config.study.points import Expansion, Point
from llenergymeasure.config.study.study import Study, load_study, study_from_mapping, study_without_experiments

__all__ = [
    "BaselineConfig",
    "CostsConfig",
    "DatasetConfig",
    "DecoderConfig",
    "EnergyConfig",
    "Expansion",
    "ExperimentConfig",
    "MeasurementConfig",
    "PassthroughConfig",
    "Point",
    "Problem",
    "PyTorchConfig",
    "SloConfig",
    "Study",
    "StudyConfig",
    "StudyError",
    "WarmupConfig",
    "compute_config_hash",
    "compute_setup_hash",
    "introspection",
    "load_study",
    "ssot",
    "study_from_mapping",
    "study_without_experiments",
]
