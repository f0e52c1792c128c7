"""Write a model that the library has quantized, so that later processes read it instead of quantizing again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from llenergymeasure.engine.devices import startup_devices
from llenergymeasure.engine.failure import ExperimentFailure, library_call

LIBRARIES = ("torch", "transformers", "bitsandbytes")
# Attributes of a quantized layer that decide on its product and are not in the state dict.
_SETTINGS = ("compute_dtype", "quant_storage", "in_features", "out_features")
_WEIGHTS = (".safetensors", ".safetensors.index.json")


def made_with() -> dict[str, Any]:
    """What decides on quantized weights beside the settings: the libraries, and the kind of device they work on."""
    described = startup_devices().describe()
    names = sorted({device["name"] for device in described.get("devices", ())})
    return {**{name: metadata.version(name) for name in LIBRARIES}, "device": ", ".join(names) or described["kind"]}


def write_quantized(model: Any, snapshot: Path, names: Iterable[str], folder: Path) -> None:
    """Write the quantized weights as safetensors, and copy the named other files of the snapshot beside them.

    The library writes only the weights and, in config.json, the quantization: it would also rewrite the generation
    settings. Call this before anything is computed, since some weights are packed again on first use.
    ExperimentFailure where the library cannot write this model.
    """
    with library_call("quantize"):
        # The library checks these before it writes a model; the file that counts is the snapshot's.
        model.generation_config = GenerationConfig()
        model.save_pretrained(folder)
        quantization = model.config.quantization_config.to_dict()
    for path in folder.iterdir():
        if not path.name.endswith(_WEIGHTS):
            path.unlink()
    for name in names:
        if not name.endswith(_WEIGHTS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(snapshot / name, folder / name)
    config = json.loads((snapshot / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = quantization
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def digest_layers(model: Any) -> dict[str, str]:
    """A digest of every tensor of the model, and the class and settings of every quantized layer.

    Two models with equal digests compute the same.
    """
    digests = {name: _digest(tensor) for name, tensor in model.state_dict().items() if torch.is_tensor(tensor)}
    digests.update({f"{name} (buffer)": _digest(buffer) for name, buffer in model.named_buffers()})
    for name, module in model.named_modules():
        if type(module).__module__.startswith("bitsandbytes"):
            settings = {key: str(getattr(module, key, None)) for key in _SETTINGS}
            state = getattr(module, "state", None)
            settings.update({key: str(getattr(state, key, None)) for key in ("threshold", "has_fp16_weights")})
            settings["dtype"] = str(module.weight.dtype)
            digests[f"{name} (layer)"] = f"{type(module).__name__} {sorted(settings.items())}"
    return digests


def require_same(written: dict[str, str], read: dict[str, str]) -> None:
    """ExperimentFailure that names the first part in which the model that was read differs from the one written."""
    for name in sorted(written.keys() | read.keys()):
        if written.get(name) != read.get(name):
            raise ExperimentFailure(
                "quantize",
                "NotTheSame",
                f"the library reads {name} differently than it wrote it: {read.get(name)}, not {written.get(name)}",
            )


def _digest(tensor: torch.Tensor) -> str:
    plain = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    # In pieces: the bytes of an embedding need not be in memory twice.
    sha = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    for piece in plain.split(1 << 26):
        sha.update(piece.numpy())
    return sha.hexdigest()[:16]
