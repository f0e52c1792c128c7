"""How wide a quantization makes the weights, by the library's own configuration object."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from llenergymeasure.engine.loading.weight_storage import width_of_dtype

# Methods with one width.
_FIXED = {
    "bitnet": 2,
    "eetq": 8,
    "fbgemm_fp8": 8,
    "fouroversix": 4,
    "fp8": 8,
    "fp_quant": 4,
    "mxfp4": 4,
    "mxfp8": 8,
    "nvfp4": 4,
    "quark": None,
    "vptq": None,
}
SKIP_KEYS = ("modules_to_not_convert", "llm_int8_skip_modules", "skip_modules", "linear_weights_not_to_quantize")


def quantized_width(quantization: Any) -> float | None:
    """Bits of one quantized weight, without scales; None where the object does not say."""
    method = str(getattr(quantization.quant_method, "value", quantization.quant_method))
    if method in _FIXED:
        return _FIXED[method]
    if method == "bitsandbytes":
        return 4 if quantization.load_in_4bit else 8
    if method == "torchao":
        return _torchao_width(quantization.quant_type)
    if method == "quanto":
        return width_of_dtype(quantization.weights)
    if method == "aqlm":
        return float(quantization.num_codebooks * quantization.nbits_per_codebook / quantization.in_group_size)
    if method == "hqq":
        return float(quantization.quant_config["weight_quant_params"]["nbits"])
    for name in ("bits", "nbits", "num_bits"):
        if isinstance(getattr(quantization, name, None), int | float):
            return float(getattr(quantization, name))
    return None


def skipped_layers(quantization: Any) -> Sequence[str]:
    """Patterns of the layers that a study leaves as they are, as transformers matches them."""
    return [pattern for name in SKIP_KEYS for pattern in getattr(quantization, name, None) or ()]


def _torchao_width(kind: Any) -> float | None:
    if getattr(kind, "weight_dtype", None) is not None:
        return width_of_dtype(kind.weight_dtype)
    # The name of the class says it: Int8DynamicActivationInt8WeightConfig.
    named = re.search(r"(?:Int|Float)(\d+)Weight", type(kind).__name__)
    return None if named is None else float(named[1])
