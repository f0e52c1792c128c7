"""How many bits the weights of a model take in memory, whatever quantized them.

The architecture is built once more without memory and without quantization: that gives the number of weights of each
layer. What the real layer of the same name holds is then counted in its parameters, its buffers, its plain attributes
(bitsandbytes keeps scales there) and inside tensors that wrap other tensors (torchao, quanto). The library's own counts
are not used: `state_dict()` changes bitsandbytes' weights after a forward pass, and `get_memory_footprint()` counts
what a wrapped tensor pretends to be.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

# Attributes that lead out of a layer: hooks hold the weights of others.
_ELSEWHERE = {"_parameters", "_buffers", "_modules", "_hf_hook", "_old_forward", "config"}
_DEPTH = 4


@dataclass(frozen=True)
class LayerStorage:
    """One layer with weights, as it is in memory.

    weights: their number, in the architecture without quantization
    code_bits: per weight, without scales; stored_bits: per weight, everything that the layer holds but its bias. For
        values of 4 bits that are kept in bytes of their own, `code_bits` is 4 and `stored_bits` above 8
    """

    name: str
    weights: int
    layer_class: str
    weight_class: str
    dtypes: tuple[str, ...]
    code_bits: float
    stored_bits: float


@dataclass(frozen=True)
class Architecture:
    """A model without quantization.

    weights: layer → number of its weights, for linear layers and fused experts; parameters: how many numbers it has
    """

    weights: Mapping[str, int]
    parameters: int


def architecture(model: Any) -> Architecture:
    """Built from the model's own class and configuration, without memory.

    An architecture that cannot be built without memory is counted as it is: then quantized layers of a class that is
    not linear are missing.
    """
    config = copy.deepcopy(model.config)
    for part in (config, config.get_text_config(decoder=True)):
        if hasattr(part, "quantization_config"):
            del part.quantization_config
    try:
        with torch.device("meta"):
            skeleton = type(model)(config)
    except Exception:  # noqa: BLE001 - an architecture's own code may do anything
        skeleton = model
    return Architecture(dict(_layers_with_weights(skeleton)), sum(item.numel() for item in skeleton.parameters()))


def _layers_with_weights(skeleton: torch.nn.Module) -> Iterator[tuple[str, int]]:
    for name, module in skeleton.named_modules():
        if isinstance(module, torch.nn.Linear | Conv1D):
            yield name, module.weight.numel()
        elif "expert" in name or "expert" in type(module).__name__.lower():
            # One parameter for all experts of a layer: experts × rows × columns.
            fused = sum(item.numel() for item in module.parameters(recurse=False) if item.dim() >= 3)
            if fused:
                yield name, fused


def weight_storage(model: torch.nn.Module, plain: Architecture) -> list[LayerStorage]:
    """What each of the layers holds. A layer that the model does not have is missing from the list."""
    layers = []
    for name, weights in plain.weights.items():
        layer = layer_named(model, name)
        if layer is not None:
            layers.append(_describe(name, layer, weights))
    return layers


def layer_named(model: torch.nn.Module, name: str) -> torch.nn.Module | None:
    """The layer itself, not the adapter around it; None where the model has none of that name."""
    try:
        layer = model.get_submodule(name)
    except AttributeError:
        return None
    return getattr(layer, "base_layer", layer)


def resident_bytes(model: torch.nn.Module) -> int:
    """Bytes of everything that the layers of the model hold, each storage once."""
    counted: dict[Any, int] = {}
    for layer in model.modules():
        for _, tensor in _tensors(layer):
            _count(tensor, counted)
    return sum(counted.values())


def _describe(name: str, layer: torch.nn.Module, weights: int) -> LayerStorage:
    held: dict[Any, int] = {}
    largest, dtypes, narrow = 0, set(), None
    for part in layer.modules():
        for path, tensor in _tensors(part):
            if "bias" in path.rpartition(".")[2]:
                continue
            _count(tensor, held)
            dtypes.add(str(tensor.dtype).removeprefix("torch."))
            largest = max(largest, tensor.numel() * tensor.element_size())
        narrow = narrow or getattr(getattr(part, "weight", None), "target_dtype", None)
    # A wrapper that keeps narrow values in bytes of their own names the type that they are of.
    width = None if narrow is None else width_of_dtype(narrow)
    share = _local_share(layer)
    return LayerStorage(
        name=name,
        weights=weights,
        layer_class=type(layer).__name__,
        weight_class=type(getattr(layer, "weight", None)).__name__,
        dtypes=tuple(sorted(dtypes)),
        code_bits=8 * _codes(layer, largest) / (weights * share) if width is None else width,
        stored_bits=8 * sum(held.values()) / (weights * share),
    )


def _codes(layer: torch.nn.Module, largest: int) -> int:
    """Bytes of the weights without their scales: the largest tensor, and for fused experts all that have their rank."""
    fused = [item for item in layer.parameters(recurse=False) if item.dim() >= 3]
    return sum(item.numel() * item.element_size() for item in fused) or largest


def _local_share(layer: torch.nn.Module) -> float:
    """The part of the layer's weights that this process holds, from 0 to 1."""
    weight = getattr(layer, "weight", None)
    local = getattr(weight, "_local_tensor", None)
    return 1.0 if weight is None or local is None or not weight.numel() else local.numel() / weight.numel()


def width_of_dtype(dtype: Any) -> int | None:
    """Bits of one value: 4 for `torch.int4`. None for a type without a number in its name."""
    digits = "".join(letter for letter in str(dtype).removeprefix("torch.").partition("_")[0] if letter.isdigit())
    return int(digits) if digits else None


def _count(tensor: torch.Tensor, counted: dict[Any, int]) -> None:
    """Add the bytes that this tensor reaches; views of the same bytes count once."""
    storage = tensor.untyped_storage()
    reached = min(tensor.numel() * tensor.element_size(), storage.nbytes())
    place = (tensor.device, storage.data_ptr(), tensor.storage_offset()) if storage.data_ptr() else id(tensor)
    counted[place] = max(counted.get(place, 0), reached)


def _tensors(layer: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors that a layer itself holds, not those of its children, by a path of names.

    Through `named_parameters`, because compressed-tensors replaces the dictionary of parameters by a mapping that
    `vars` does not show.
    """
    seen: dict[int, Any] = {}
    for name, tensor in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:
        yield from _within(name, tensor, seen, 0)
    for name, value in vars(layer).items():
        if name not in _ELSEWHERE:
            yield from _within(name, value, seen, 0)


def _within(path: str, value: Any, seen: dict[int, Any], depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    if depth > _DEPTH or id(value) in seen or isinstance(value, torch.nn.Module | type | str | bytes | int | float):
        return
    # Held, because the id of an object that is gone is given to the next one.
    seen[id(value)] = value
    inner: Mapping[Any, Any] = {}
    if isinstance(value, torch.Tensor):
        wrapped = value.__tensor_flatten__()[0] if hasattr(value, "__tensor_flatten__") else ()
        if not wrapped:
            yield path, value
        inner = {**{name: getattr(value, name) for name in wrapped}, **vars(value)}
    elif isinstance(value, Mapping):
        inner = dict(value)
    elif isinstance(value, list | tuple):
        inner = dict(enumerate(value))
    elif hasattr(value, "__dict__") and not callable(value) and not type(value).__module__.startswith("transformers"):
        inner = vars(value)
    for name, item in inner.items():
        yield from _within(f"{path}.{name}", item, seen, depth + 1)
