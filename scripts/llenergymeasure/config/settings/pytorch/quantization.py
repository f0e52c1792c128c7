"""Quantization of the weights: bitsandbytes by keys of its own, every method of transformers by one mapping."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.parameter import LibraryChoice, Relation, When, excludes, needs, parameter


def _needs_4bit(rule: str) -> Relation:
    return needs(
        When("pytorch.load_in_4bit", "is", True),
        rule=rule,
        because="bitsandbytes reads it only for 4-bit weights",
        fix="set pytorch.load_in_4bit: true or remove this setting",
    )


def _not_beside(key: str, rule: str) -> Relation:
    return excludes(
        When(f"pytorch.{key}", "is", True),
        rule=rule,
        because="both quantize the weights",
        fix="keep one of the two settings",
    )


def _method(options: dict[str, Any] | None) -> dict[str, Any] | None:
    """Only what holds for every method; `engine` asks the library about the rest."""
    if options is None:
        return None
    name = options.get("quant_method")
    if not isinstance(name, str) or not name:
        raise ValueError("has no quant_method; add one, such as quant_method: torchao, quanto or fp8")
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"contains a value that is not plain YAML; {error}") from error
    return options


class QuantizationSettings(Config):
    """Quantization of the weights."""

    quantization_config: Annotated[
        dict[str, Any] | None,
        AfterValidator(_method),
        parameter(
            target="from_pretrained",
            keyword="quantization_config",
            level="setup",
            library_default=LibraryChoice("the checkpoint's own quantization, else none"),
            evidence="quantization_config",
            relations=(
                _not_beside("load_in_4bit", "quantization-config-or-4bit"),
                _not_beside("load_in_8bit", "quantization-config-or-8bit"),
            ),
            test_values=(
                {"quant_method": "quanto", "weights": "int8"},
                {"quant_method": "torchao", "quant_type": "Int8WeightOnlyConfig"},
            ),
        ),
    ] = None
    """Quantize with any method of transformers: `quant_method` names it, and the other keys are those of the library's
    class for that method, such as `{quant_method: quanto, weights: int8}`. For torchao, `quant_type` is the name of a
    class of torchao.quantization and its arguments are written beside it, such as `{quant_method: torchao, quant_type:
    Int8WeightOnlyConfig}`. A checkpoint that is quantized already takes only its own method here, with the keys that
    the library reads while loading, such as `dequantize`. See docs/quantization.md."""

    load_in_4bit: Annotated[
        bool | None,
        parameter(
            target="bitsandbytes",
            keyword="load_in_4bit",
            level="setup",
            library_default=False,
            evidence="quantization",
            relations=(
                excludes(
                    When("pytorch.load_in_8bit", "is", True),
                    rule="quantization-4bit-or-8bit",
                    because="weights have only one width",
                    fix="keep one of the two settings",
                    neutral=(False,),
                ),
            ),
            test_values=(True,),
        ),
    ] = None
    """Quantize the weights to 4 bits with bitsandbytes."""

    load_in_8bit: Annotated[
        bool | None,
        parameter(
            target="bitsandbytes",
            keyword="load_in_8bit",
            level="setup",
            library_default=False,
            evidence="quantization_8bit",
            test_values=(True,),
        ),
    ] = None
    """Quantize the weights to 8 bits with bitsandbytes."""

    bnb_4bit_compute_dtype: Annotated[
        Literal["float16", "bfloat16", "float32"] | None,
        parameter(
            target="bitsandbytes",
            keyword="bnb_4bit_compute_dtype",
            level="setup",
            library_default="float32",
            evidence="quant_compute_dtype",
            relations=(_needs_4bit("bnb-compute-dtype-needs-4bit"),),
            test_values=("float16", "bfloat16", "float32"),
        ),
    ] = None
    """The number format in which 4-bit weights are multiplied."""

    bnb_4bit_quant_type: Annotated[
        Literal["nf4", "fp4"] | None,
        parameter(
            target="bitsandbytes",
            keyword="bnb_4bit_quant_type",
            level="setup",
            library_default="fp4",
            evidence="quant_type",
            relations=(_needs_4bit("bnb-quant-type-needs-4bit"),),
            test_values=("nf4", "fp4"),
        ),
    ] = None
    """The 4-bit number format."""

    bnb_4bit_use_double_quant: Annotated[
        bool | None,
        parameter(
            target="bitsandbytes",
            keyword="bnb_4bit_use_double_quant",
            level="setup",
            library_default=False,
            evidence="quant_double",
            relations=(_needs_4bit("bnb-double-quant-needs-4bit"),),
            test_values=(True, False),
        ),
    ] = None
    """Quantize the quantization constants too; saves about 0.4 bits per parameter."""
