"""An experiment whose settings fit together, and its sections: the shapes of settings/ with the rules applied.

A section that is made on its own keeps the rules that look at that section only; an experiment keeps all of them.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ValidationInfo, model_validator

from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.rules.relations import violations
from llenergymeasure.config.rules.rulebook import check_rules, section_rules
from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.dataset import DatasetSettings
from llenergymeasure.config.settings.decoder import DecoderSettings
from llenergymeasure.config.settings.experiment import ExperimentSettings
from llenergymeasure.config.settings.protocol import BaselineSettings, EnergySettings, WarmupSettings
from llenergymeasure.config.settings.pytorch import PyTorchSettings
from llenergymeasure.config.settings.setting_paths import sections

UNCHECKED = {"rules": False}
"""Validation context for callers that apply the rules themselves, to collect every violation at once."""


class RuleViolation(ValueError):
    """Settings that do not fit together; the message has one line per problem."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.render() for problem in problems))


class _Checked(Config):
    @model_validator(mode="after")
    def _keep_the_rules(self, info: ValidationInfo) -> Self:
        if info.context is not UNCHECKED:
            errors = [problem for problem in _problems(self) if problem.severity == "error"]
            if errors:
                raise RuleViolation(errors)
        return self


class PyTorchConfig(_Checked, PyTorchSettings):
    """Settings of the PyTorch engine that fit together. What is not set is the library's default."""


class DecoderConfig(_Checked, DecoderSettings):
    """Decoding settings that fit together. The defaults are plain sampling with the usual 50 candidates."""


class DatasetConfig(_Checked, DatasetSettings):
    """A source of prompts with the keys that it needs, and no others."""


class WarmupConfig(_Checked, WarmupSettings):
    """When a model counts as warm, in settings that fit together."""


class BaselineConfig(_Checked, BaselineSettings):
    """The idle baseline, in settings that fit together."""


class EnergyConfig(_Checked, EnergySettings):
    """Which meters are read, in settings that fit together."""


class ExperimentConfig(_Checked, ExperimentSettings):
    """What is run and measured once per replicate. Every setting fits to every other."""

    pytorch: PyTorchConfig = PyTorchConfig.model_construct()
    """How the model is loaded and run."""

    decoder: DecoderConfig = DecoderConfig.model_construct()
    """How tokens are chosen."""

    dataset: DatasetConfig = DatasetConfig.model_construct()
    """The source of the prompts."""

    warmup: WarmupConfig = WarmupConfig.model_construct()
    """When the model counts as warm."""

    baseline: BaselineConfig = BaselineConfig.model_construct()
    """Power of the idle machine."""

    energy: EnergyConfig = EnergyConfig.model_construct()
    """The meters that are read."""


def _problems(model: BaseModel) -> list[Problem]:
    if isinstance(model, ExperimentSettings):
        return check_rules(model)
    name = next(name for name, shape in sections().items() if isinstance(model, shape))
    settings = {f"{name}.{key}": value for key, value in model.__dict__.items()}
    return list(violations(settings, section_rules(name)))
