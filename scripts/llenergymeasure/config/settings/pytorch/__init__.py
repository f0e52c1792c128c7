"""How the model is loaded and run: the settings of transformers, peft, bitsandbytes and torch."""

from __future__ import annotations

from llenergymeasure.config.settings.pytorch.compilation import CompilationConfig
from llenergymeasure.config.settings.pytorch.generation import STATIC_CACHES, GenerationSettings
from llenergymeasure.config.settings.pytorch.placement import AUTOMATIC_MAPS, PlacementConfig
from llenergymeasure.config.settings.pytorch.quantization import QuantizationConfig
from llenergymeasure.config.settings.pytorch.source import SourceConfig
from llenergymeasure.config.settings.pytorch.speculation import SpeculationConfig

__all__ = ["AUTOMATIC_MAPS", "STATIC_CACHES", "PyTorchConfig"]


# The bases' fields come last base first: generation before speculation … before source.
class PyTorchConfig(
    SourceConfig, PlacementConfig, QuantizationConfig, CompilationConfig, SpeculationConfig, GenerationSettings
):
    """Settings of the PyTorch engine. Each one left out is the library's default."""
