"""Tiny checkpoints that are quantized already, as hubs have them: made by the libraries that read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from edited_models import model_folder
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

# Rows of 128 weights, so that the scales of small groups and rows weigh little.
MODEL = (
    "random:llama?hidden_size=128&intermediate_size=256&num_hidden_layers=2"
    "&num_attention_heads=4&num_key_value_heads=2&vocab_size=300"
)
# Kind → format and the widest code, of compressed-tensors.
COMPRESSED = {"int8": ("int-quantized", 127), "fp8": ("float-quantized", 448), "w4": ("pack-quantized", 7.5)}
GROUP = 32


def compressed_tensors_folder(folder: Path, kind: str) -> Path:
    """A checkpoint as llm-compressor writes it: one scale per row, or per 32 weights of 4 bits."""
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationArgs,
        QuantizationConfig,
        QuantizationScheme,
        apply_quantization_config,
    )

    grouped = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": GROUP}
    by_row = {"num_bits": 8, "type": "float" if kind == "fp8" else "int", "strategy": "channel"}
    weights = QuantizationArgs(symmetric=True, **(grouped if kind == "w4" else by_row))
    layout, widest = COMPRESSED[kind]
    quantization = QuantizationConfig(
        config_groups={"group": QuantizationScheme(targets=["Linear"], weights=weights)},
        ignore=["lm_head"],
        format=layout,
        quantization_status="compressed",
    )
    model_folder(folder, MODEL)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    apply_quantization_config(model, quantization)
    for module in model.modules():
        if getattr(module, "quantization_scheme", None) is not None:
            rows = module.weight.data.float()
            groups = rows.reshape(rows.shape[0], -1, GROUP if kind == "w4" else rows.shape[1])
            module.weight_scale.data = (groups.abs().amax(-1) / widest).to(module.weight_scale.dtype)
    ModelCompressor(quantization_config=quantization).compress_model(model)
    declared = {**json.loads(quantization.model_dump_json()), "quant_method": "compressed-tensors"}
    return _written(folder, model.state_dict(), declared)


def fp8_folder(folder: Path, block: int = 64) -> Path:
    """A checkpoint as DeepSeek's: float8 with one scale per block."""
    model_folder(folder, MODEL)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in model.state_dict().items():
        if not name.endswith("proj.weight"):
            tensors[name] = tensor
            continue
        rows, columns = tensor.shape[0] // block, tensor.shape[1] // block
        blocks = tensor.float().reshape(rows, block, columns, block)
        scales = blocks.abs().amax((1, 3)) / 448
        codes = blocks / scales[:, None, :, None]
        tensors[name] = codes.reshape(tensor.shape).to(torch.float8_e4m3fn)
        tensors[name.replace("weight", "weight_scale_inv")] = scales
    declared = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [block, block]}
    return _written(folder, tensors, declared)


def bitsandbytes_folder(folder: Path) -> Path:
    """A checkpoint as unsloth's: NF4, saved before anything was computed."""
    model_folder(folder, MODEL)
    wanted = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype="bfloat16")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, quantization_config=wanted)
    model.save_pretrained(folder)
    return folder


def _written(folder: Path, tensors: Mapping[str, torch.Tensor], declared: Mapping[str, Any]) -> Path:
    kept = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "dtype": "bfloat16", "quantization_config": declared}), encoding="utf-8")
    return folder
