"""Load a model the way an experiment asks for: dtype, quantization, attention, placement, compilation."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.parameters import keywords
from llenergymeasure.engine.compilation import compile_in_place
from llenergymeasure.engine.devices import DeviceKind, devices_of, startup_devices
from llenergymeasure.engine.failure import ExperimentFailure, library_call

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
TORCH_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, with what loading it took."""

    model: Any
    tokenizer: Any
    devices: DeviceKind
    load_keywords: dict[str, Any]
    compile_keywords: dict[str, Any] | None
    load_s: float
    load_peak_bytes: int
    resident_bytes: int

    @property
    def input_device(self) -> torch.device:
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device


def load_keywords(config: ExperimentConfig, *, has_code: bool) -> dict[str, Any]:
    """Keywords for `from_pretrained`, derived from the parameter declarations.

    `has_code`: the snapshot holds Python files whose hashes are in the lock; only then may they run.
    """
    given = keywords(config, "from_pretrained")
    # The snapshot is already the revision that was asked for.
    given.pop("revision", None)
    given["dtype"] = DTYPES[given["dtype"]]
    given.setdefault("device_map", "auto")
    given["trust_remote_code"] = has_code and given.get("trust_remote_code") is not False
    given["use_safetensors"] = True
    given.update(config.passthrough_kwargs.from_pretrained)
    quantization = {**keywords(config, "bitsandbytes"), **config.passthrough_kwargs.bitsandbytes}
    if quantization:
        if isinstance(quantization.get("bnb_4bit_compute_dtype"), str):
            quantization["bnb_4bit_compute_dtype"] = TORCH_DTYPES[quantization["bnb_4bit_compute_dtype"]]
        given["quantization_config"] = BitsAndBytesConfig(**quantization)
    return given


def compile_keywords(config: ExperimentConfig) -> dict[str, Any] | None:
    """Keywords for `model.compile`, or None where no compilation is asked for."""
    if not config.pytorch.torch_compile:
        return None
    return {**keywords(config, "compile"), **config.passthrough_kwargs.compile}


def load_model(config: ExperimentConfig, snapshot: Path, *, has_code: bool) -> LoadedModel:
    """Load model and tokenizer from one snapshot folder.

    Raises:
        ExperimentFailure: the library refuses the combination, a kernel is not installed, or memory ran out.
    """
    if config.cpu_threads is not None:
        torch.set_num_threads(config.cpu_threads)
    before = startup_devices()
    before.reset_peak_memory()
    with library_call("load"):
        given = load_keywords(config, has_code=has_code)
        _import_model_code(snapshot, trust_remote_code=given["trust_remote_code"])
        start = time.perf_counter()
        model = AutoModelForCausalLM.from_pretrained(snapshot, **given)
        model.eval()
        before.synchronize()
        load_s = time.perf_counter() - start
        tokenizer = AutoTokenizer.from_pretrained(
            snapshot, trust_remote_code=given["trust_remote_code"], padding_side="left"
        )
    devices = devices_of(model)
    if config.pytorch.attn_implementation is not None:
        _refuse_fallback(model, config.pytorch.attn_implementation)
    asked = compile_keywords(config)
    if asked is not None:
        compile_in_place(model, asked)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        devices=devices,
        load_keywords=given,
        compile_keywords=asked,
        load_s=load_s,
        load_peak_bytes=before.peak_memory_bytes(),
        resident_bytes=int(model.get_memory_footprint()),
    )


def _import_model_code(snapshot: Path, *, trust_remote_code: bool) -> None:
    """Import the architecture's module now, so that the load's time is the load's and not Python's imports."""
    config = AutoConfig.from_pretrained(snapshot, trust_remote_code=trust_remote_code)
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]


def _refuse_fallback(model: Any, wanted: str) -> None:
    used = model.config._attn_implementation
    if used != wanted:
        raise ExperimentFailure(
            "load", "AttentionFallback", f"asked for attention {wanted!r}, the library uses {used!r}"
        )
