"""Quantization of the weights with bitsandbytes."""

from __future__ import annotations

from typing import Annotated, Literal

from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.parameter import Relation, When, excludes, needs, parameter


def _needs_4bit(rule: str) -> Relation:
    return needs(
        When("pytorch.load_in_4bit", "is", True),
        rule=rule,
        because="bitsandbytes reads it only for 4-bit weights",
        fix="set pytorch.load_in_4bit: true or remove this setting",
    )


class QuantizationSettings(Config):
    """Quantization of the weights."""

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
