"""How the model is loaded and run: the settings of transformers, peft, bitsandbytes and torch."""

from __future__ import annotations

from llenergymeasure.config.settings.pytorch.compilation import CompilationSettings
from llenergymeasure.config.settings.pytorch.generation import STATIC_CACHES, GenerationSettings
from llenergymeasure.config.settings.pytorch.placement import AUTOMATIC_MAPS, PlacementSettings
from llenergymeasure.config.settings.pytorch.quantization import QuantizationSettings
from llenergymeasure.config.settings.pytorch.source import SourceSettings
from llenergymeasure.config.settings.pytorch.speculation import SpeculationSettings

__all__ = ["AUTOMATIC_MAPS", "STATIC_CACHES", "PyTorchSettings"]


# The bases' fields come last base first: generation before speculation … before source.
class PyTorchSettings(
    SourceSettings,
    PlacementSettings,
    QuantizationSettings,
    CompilationSettings,
    SpeculationSettings,
    GenerationSettings,
):
    """Settings of the PyTorch engine. What is not set is the library's default."""
