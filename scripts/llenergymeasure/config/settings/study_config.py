"""A study file: shared defaults, a matrix, exceptions, and the protocol."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from llenergymeasure.config.settings.base import Config, InWords
from llenergymeasure.config.settings.costs import CostsConfig
from llenergymeasure.config.settings.protocol import MeasurementConfig
from llenergymeasure.config.settings.slo import SloConfig

MODELS_FOLDER = "models"


def _free(name: str) -> str:
    if name == MODELS_FOLDER:
        raise ValueError(f"{name} is the folder of the models under results/; choose another name for the study")
    return name


class StudyConfig(Config):
    """The experiments to run: the product of `matrix` over `defaults`, minus `exclude`, plus `include`, plus
    `experiments`.

    With none of these keys, the one experiment that `defaults` describes.
    """

    study: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["my-study"]),
        InWords("up to 64 letters (a to z), digits, dots, dashes and underscores, beginning with a letter or digit"),
        AfterValidator(_free),
    ]
    """Name of the study and of its folder under results/: up to 64 letters, digits, dots, dashes, underscores; not
    `models`, which is the folder of the models."""

    defaults: dict[str, Any] = Field(default_factory=dict)
    """Settings shared by every experiment; nested, or with dotted keys."""

    matrix: dict[str, list[Any]] = Field(default_factory=dict)
    """Dotted path → list of values. A path may name a section; its values are then mappings, merged into it."""

    exclude: list[dict[str, Any]] = Field(default_factory=list)
    """Points of the matrix to remove: those for which every key of an entry matches (a list: any of its values)."""

    include: list[dict[str, Any]] = Field(default_factory=list)
    """Experiments added to the matrix, each over the defaults."""

    experiments: list[dict[str, Any]] = Field(default_factory=list)
    """Experiments written out, each over the defaults."""

    invalid: Literal["stop", "skip"] = "stop"
    """Points that break a rule: stop with a list of all of them, or skip them and record them in the plan."""

    on_failure: Literal["record", "stop"] = "record"
    """An experiment that fails while it runs: record it and go on, or end with exit code 1."""

    measurement: MeasurementConfig = MeasurementConfig()
    """The protocol of the whole study."""

    costs: CostsConfig = CostsConfig()
    """Rates that convert joules and seconds into carbon and money. A change does not trigger new measurements."""

    slo: SloConfig = SloConfig()
    """Limits that a request must keep: the share inside, and joules per request inside. A change does not trigger new
    measurements."""
