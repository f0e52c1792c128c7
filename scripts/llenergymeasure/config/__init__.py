"""What is wanted: studies, experiments, their settings and rules. Nothing here imports torch."""

from llenergymeasure.config import introspection, ssot
from llenergymeasure.config.costs import CostsConfig
from llenergymeasure.config.dataset import DatasetConfig
from llenergymeasure.config.decoder import DecoderConfig
from llenergymeasure.config.errors import Problem, StudyError
from llenergymeasure.config.expansion import Expansion, Point
from llenergymeasure.config.experiment import ExperimentConfig, PassthroughConfig
from llenergymeasure.config.hashes import compute_config_hash, compute_load_hash
from llenergymeasure.config.protocol import BaselineConfig, EnergyConfig, MeasurementConfig, WarmupConfig
from llenergymeasure.config.pytorch import PyTorchConfig
from llenergymeasure.config.study import Study, load_study, study_from_mapping, study_without_experiments
from llenergymeasure.config.study_config import StudyConfig

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
    "Study",
    "StudyConfig",
    "StudyError",
    "WarmupConfig",
    "compute_config_hash",
    "compute_load_hash",
    "introspection",
    "load_study",
    "ssot",
    "study_from_mapping",
    "study_without_experiments",
]
