"""What each engine supports, derived from the parameter declarations."""

from __future__ import annotations

from llenergymeasure.config.introspection import BACKEND, get_param_options
from llenergymeasure.config.settings.registry import parameters

PRECISION_SUPPORT: dict[str, list[str]] = {BACKEND: list(get_param_options("precision") or [])}
"""Engine → number formats."""

DECODING_SUPPORT: dict[str, list[str]] = {BACKEND: [mode for item in parameters().values() for mode in item.decoding]}
"""Engine → ways of choosing tokens."""

DECODER_PARAM_SUPPORT: dict[str, list[str]] = {
    BACKEND: [path.removeprefix("decoder.") for path in parameters() if path.startswith("decoder.")]
}
"""Engine → keys under `decoder` that it accepts."""
