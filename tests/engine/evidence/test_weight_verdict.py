"""From the bits of each layer to a verdict: every way in which a quantization can be lost on the way is noticed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llenergymeasure.engine.evidence.weight_verdict import Wanted, bits_in_words, groups, objections
from llenergymeasure.engine.loading.weight_storage import LayerStorage

NAMES = [*(f"model.layers.{index}.mlp.{name}_proj" for index in (0, 1) for name in ("up", "down")), "lm_head"]
FREE = ("lm_head",)


def layer(name: str, code: float = 4, stored: float = 4.53, kind: str = "Params4bit") -> LayerStorage:
    return LayerStorage(name, 1_000_000, "Linear4bit", kind, ("float32", "uint8"), code, stored)


def four_bit() -> list[LayerStorage]:
    return [*map(layer, NAMES[:-1]), layer("lm_head", 16, 16)]


def with_last(code: float, stored: float, kind: str = "Params4bit") -> list[LayerStorage]:
    """The last layer before the output head differs."""
    return [*four_bit()[:3], layer(NAMES[3], code, stored, kind), layer("lm_head", 16, 16)]


def said(wanted: Wanted, layers: list[LayerStorage]) -> str:
    return "; ".join(objections(wanted, layers, NAMES))


def test_layers_of_the_wanted_width_are_fine() -> None:
    assert said(Wanted(4, free=FREE), four_bit()) == ""
    assert said(Wanted(4, free=FREE), [*four_bit()[:-1], layer("lm_head")]) == "", "the library may go further"
    assert said(Wanted(None, free=FREE), four_bit()) == "", "no width is known: any that is narrow will do"


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (with_last(16, 16), "1 layer with 20% of the weights stay at 16 bits (model.layers.1.mlp.down_proj)"),
        (with_last(32, 32), "stay at 32 bits"),
        (with_last(8, 8.3), "have codes of 8 bits"),
        (with_last(3, 3.5), "have codes of 3 bits"),
        (with_last(4, 5.6), "store 5.6 bits per weight"),
        (with_last(4, 3.0), "store 3 bits per weight"),
        (with_last(4, 8.75), "store 8.75 bits per weight"),
        (with_last(4, 8.75, "IntxUnpackedToInt8Tensor"), ""),
        (with_last(4, 16.4, "IntxUnpackedToInt8Tensor"), "store 16.4 bits per weight"),
        (four_bit()[1:], "1 layer of the architecture cannot be found (model.layers.0.mlp.up_proj)"),
        ([replace(item, code_bits=16, stored_bits=16) for item in four_bit()], "4 layers with 80% of the weights stay"),
    ],
)
def test_what_is_not_as_wanted_is_named(layers: list[LayerStorage], expected: str) -> None:
    found = said(Wanted(4, free=FREE), layers)
    assert expected in found
    assert bool(found) == bool(expected)


def test_a_layer_that_the_study_skips_must_stay_as_it_is() -> None:
    skipping = Wanted(4, skipped=("down_proj",), free=FREE)
    assert "2 layers with 40% of the weights are quantized although the study skips them" in said(skipping, four_bit())
    kept = [layer(item.name, 16, 16) if "down" in item.name else item for item in four_bit()]
    assert said(skipping, kept) == ""
    assert "stay at 16 bits" in said(Wanted(4, free=FREE), kept), "and without the setting it is noticed"


def test_tables_of_a_fixed_size_do_not_count_against_a_tiny_layer() -> None:
    tiny = replace(layer(NAMES[0]), weights=2048, stored_bits=8.7)
    assert objections(Wanted(4), [tiny], [NAMES[0]]) == []
    assert objections(Wanted(4), [replace(tiny, weights=1_000_000)], [NAMES[0]]) != []


def test_layers_that_are_alike_are_one_group_and_the_largest_comes_first() -> None:
    head = replace(layer("lm_head", 16, 16, "Parameter"), weights=10)
    uneven = replace(layer(NAMES[1]), weights=3_000_000, stored_bits=4.93)
    first, last = groups([head, layer(NAMES[0]), uneven])
    assert (first.layers, first.weights, first.code_bits) == (2, 4_000_000, 4)
    assert first.stored_bits == pytest.approx(4.83)
    assert (last.weight_class, last.weights) == ("Parameter", 10)
    words = bits_in_words([head, layer(NAMES[0]), uneven])
    assert words.startswith("2 × Linear4bit(Params4bit): 4 code bits, 4.83 stored bits per weight in float32, uint8; 1")
