"""The bits that a layer holds are counted wherever a quantizer puts them, each once."""

from __future__ import annotations

from collections import UserDict
from types import SimpleNamespace
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from llenergymeasure.engine.loading.weight_storage import (
    Architecture,
    LayerStorage,
    architecture,
    resident_bytes,
    weight_storage,
    width_of_dtype,
)

ROWS, COLUMNS = 32, 64
WEIGHTS = ROWS * COLUMNS


class Wrapped(torch.Tensor):
    """A tensor that pretends to be bfloat16 and holds codes and scales, as those of torchao and quanto do."""

    @staticmethod
    def __new__(cls, codes: torch.Tensor, scales: torch.Tensor) -> Any:
        made = torch.Tensor._make_wrapper_subclass(cls, codes.shape, dtype=torch.bfloat16)
        made.codes, made.scales = codes, scales
        return made

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["codes", "scales"], None

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        assert function is torch.ops.aten.detach.default
        (tensor,) = arguments
        same = cls(tensor.codes, tensor.scales)
        same.__dict__.update(tensor.__dict__)
        return same


def only(layer: torch.nn.Module, weights: int = WEIGHTS) -> LayerStorage:
    model = torch.nn.Module()
    model.layer = layer
    (described,) = weight_storage(model, Architecture({"layer": weights}, weights))
    return described


def bits(layer: torch.nn.Module) -> tuple[float, float]:
    described = only(layer)
    return described.code_bits, described.stored_bits


def codes(dtype: torch.dtype = torch.int8, count: int = WEIGHTS) -> torch.Tensor:
    return torch.zeros(count, dtype=dtype)


def holding(**values: Any) -> torch.nn.Module:
    layer = torch.nn.Module()
    for name, value in values.items():
        setattr(layer, name, value)
    return layer


def test_a_linear_layer_stores_its_type_and_the_bias_does_not_count() -> None:
    assert bits(torch.nn.Linear(COLUMNS, ROWS, bias=True)) == (32, 32)
    assert bits(torch.nn.Linear(COLUMNS, ROWS, bias=True).bfloat16()) == (16, 16)


def test_codes_and_scales_are_found_in_parameters_buffers_attributes_and_wrapped_tensors() -> None:
    scales = torch.zeros(ROWS)  # of 32 bits for 64 weights
    whole = (8, 8 + 32 / COLUMNS)
    parameter = torch.nn.Parameter(codes(), requires_grad=False)
    buffered = holding(weight=parameter)
    buffered.register_buffer("scale", scales)
    assert bits(buffered) == whole
    assert bits(holding(weight=parameter, state=SimpleNamespace(inner={"scale": (scales,)}))) == whole
    tagged = torch.nn.Parameter(codes(), requires_grad=False)
    tagged.quant_state = SimpleNamespace(absmax=scales, itself=tagged)
    assert bits(holding(weight=tagged)) == whole
    wrapped = Wrapped(codes().reshape(ROWS, COLUMNS), scales)
    described = only(holding(weight=torch.nn.Parameter(wrapped, requires_grad=False)))
    assert (described.code_bits, described.stored_bits) == whole
    assert described.weight_class == "Wrapped"
    assert described.dtypes == ("float32", "int8")


def test_a_mapping_in_place_of_the_dictionary_of_parameters_hides_nothing() -> None:
    """compressed-tensors puts one there in the first forward pass."""
    layer = torch.nn.Linear(COLUMNS, ROWS, bias=False)
    object.__setattr__(layer, "_parameters", UserDict(layer._parameters))
    assert bits(layer) == (32, 32)


def test_two_views_of_the_same_bytes_count_once_and_a_slice_counts_as_itself() -> None:
    data = codes()
    layer = holding(weight=torch.nn.Parameter(data, requires_grad=False), state=SimpleNamespace(CB=data.view(ROWS, -1)))
    assert bits(layer) == (8, 8)
    assert bits(holding(weight=torch.nn.Parameter(codes(count=4 * WEIGHTS)[:WEIGHTS], requires_grad=False))) == (8, 8)


def test_hooks_and_other_layers_are_not_followed() -> None:
    layer = torch.nn.Linear(COLUMNS, ROWS, bias=False)
    layer._hf_hook = SimpleNamespace(weights_map={"other": torch.zeros(10_000)})
    object.__setattr__(layer, "parent", torch.nn.Linear(500, 500))
    assert bits(layer) == (32, 32)


def test_values_of_four_bits_in_bytes_of_their_own_have_both_widths() -> None:
    unpacked = Wrapped(codes().reshape(ROWS, COLUMNS), torch.zeros(ROWS))
    unpacked.target_dtype = torch.int4
    assert bits(holding(weight=torch.nn.Parameter(unpacked, requires_grad=False))) == (4, 8 + 32 / COLUMNS)


def test_the_layer_under_an_adapter_is_what_counts() -> None:
    adapter = holding(base_layer=torch.nn.Linear(COLUMNS, ROWS), lora_A=torch.nn.Linear(COLUMNS, 4))
    assert bits(adapter) == (32, 32)


def test_a_layer_that_is_gone_is_missing_from_the_list() -> None:
    assert weight_storage(torch.nn.Module(), Architecture({"layer": 1}, 1)) == []


class Config(SimpleNamespace):
    def get_text_config(self, **_: bool) -> Any:
        return self


class Experts(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate_up_proj = torch.nn.Parameter(torch.zeros(4, 8, 16))
        self.down_proj = torch.nn.Parameter(torch.zeros(4, 16, 8))
        self.down_proj_bias = torch.nn.Parameter(torch.zeros(4, 8))


class Tiny(torch.nn.Module):
    """An architecture whose class quantizes where its configuration says so."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        assert torch.get_default_device().type == "meta" or hasattr(config, "quantization_config")
        self.config = config
        self.head = torch.nn.Linear(8, 4)
        self.old = Conv1D(6, 8)
        self.experts = Experts()
        self.position = torch.nn.Embedding(10, 8)


def test_linear_layers_and_fused_experts_have_weights_and_the_model_is_not_touched() -> None:
    model = Tiny(Config(quantization_config={"quant_method": "fp8"}))
    model.head = torch.nn.Identity()
    plain = architecture(model)
    assert plain.weights == {"head": 32, "old": 48, "experts": 4 * 8 * 16 * 2}
    assert plain.parameters == 36 + 54 + 1024 + 32 + 80
    assert model.config.quantization_config == {"quant_method": "fp8"}
    fused = next(layer for layer in weight_storage(model, plain) if layer.name == "experts")
    assert (fused.code_bits, fused.stored_bits) == (32, 32)


def test_what_a_model_holds_is_counted_once_whatever_it_pretends() -> None:
    model = torch.nn.Module()
    model.one = holding(weight=torch.nn.Parameter(Wrapped(codes().reshape(ROWS, -1), torch.zeros(ROWS)), False))
    model.two = holding(weight=model.one.weight)
    assert resident_bytes(model) == WEIGHTS + 4 * ROWS


def test_the_width_of_a_type_is_in_its_name() -> None:
    names = {"torch.int4": 4, "torch.float8_e4m3fn": 8, "int2": 2, "torch.bfloat16": 16, "bool": None}
    assert {name: width_of_dtype(name) for name in names} == names
