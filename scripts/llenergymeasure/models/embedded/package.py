"""Models that come inside a Python distribution as a GGUF file, converted once to a safetensors folder.

GGUF quantization has no counterpart in transformers, so weights are stored dequantised: in the smallest dtype
that holds every value exactly. For Q4_1 that is float32: scale × 4-bit number + offset, both float16, were
exact in float32 for all 106,168,320 quantized weights of SmolLM2-135M-Instruct.Q4_1.gguf, and in no 16-bit
type.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.models.embedded.distribution import find_file
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import hash_file, hash_folder
from llenergymeasure.models.hub.progress import no_progress_bars
from llenergymeasure.models.sources import Fetched, Request

RESUMES = False
_SMALLER = (torch.bfloat16, torch.float16)


def fetch(request: Request) -> Fetched:
    """Convert the packaged file. SnapshotError when it does not exist or transformers cannot read it."""
    ref = request.ref
    gguf = find_file(ref.distribution, str(request.revision), ref.file)
    try:
        with no_progress_bars():
            dtype = _convert(gguf, request.folder)
    except Exception as error:  # whatever the library finds wrong with the file
        raise SnapshotError(f"{ref.text} cannot be converted: {first_line(error)}") from error
    origin = hash_file(gguf)
    notes = {
        "converted_from": {"file": gguf.name, "sha256": origin.sha256, "size": origin.size},
        "conversion": "GGUF dequantised to safetensors",
        "dtype": dtype,
        "dtype_is_exact": True,
    }
    return Fetched(hash_folder(request.folder), notes)


def _convert(gguf: Path, folder: Path) -> str:
    """Write config, generation config, weights, tokenizer and chat template; the dtype of the weights."""
    source = {
        "pretrained_model_name_or_path": str(gguf.parent),
        "gguf_file": gguf.name,
        "local_files_only": True,
    }
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(**source)
    _forget_quantization(model)
    dtype = _smallest_exact_dtype(model)
    model.to(dtype)
    context = getattr(model.config, "max_position_embeddings", None)
    if context is not None:
        tokenizer.model_max_length = context
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(dtype).removeprefix("torch.")


def _forget_quantization(model: Any) -> None:
    """The weights are plain tensors now; transformers refuses to save a model whose config says otherwise."""
    for holder, name in ((model.config, "quantization_config"), (model, "hf_quantizer")):
        if hasattr(holder, name):
            delattr(holder, name)
    model.is_quantized = False


def _smallest_exact_dtype(model: Any) -> torch.dtype:
    for dtype in _SMALLER:
        if all(torch.equal(value.to(dtype).to(value.dtype), value) for value in model.state_dict().values()):
            return dtype
    return torch.float32
