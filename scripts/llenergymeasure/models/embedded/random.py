"""Models that need no download: an architecture, its sizes and a seed give the weights.

A random model costs what a trained one of the same shape costs; only its text means nothing. The same name
gives the same bytes on the same torch and transformers versions, which the notes therefore state.
"""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.config.settings.model_ref import ModelRef
from llenergymeasure.models.embedded.byte_tokenizer import MINIMUM_VOCABULARY, SPECIAL_TOKENS, byte_tokenizer
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import hash_folder
from llenergymeasure.models.hub.progress import no_progress_bars
from llenergymeasure.models.sources import Fetched, Request

RESUMES = False
# Set by the tokenizer that comes with the model, by `dtype=` in the name, or by transformers itself.
_NOT_FIELDS = frozenset(
    {"architectures", "bos_token_id", "dtype", "eos_token_id", "pad_token_id", "transformers_version"}
)


def fetch(request: Request) -> Fetched:
    """Initialise and save the model. SnapshotError for an unknown architecture, field or impossible size."""
    ref = request.ref
    config = random_config(ref)
    vocabulary = int(config.get_text_config().vocab_size)
    if vocabulary < MINIMUM_VOCABULARY:
        raise SnapshotError(
            f"{ref.text}: vocab_size must be at least {MINIMUM_VOCABULARY} (256 bytes and special tokens), "
            f"not {vocabulary}"
        )
    try:
        with no_progress_bars():
            parameters = _initialise(ref, config, request)
    except Exception as error:  # whatever the library finds wrong with these sizes
        raise SnapshotError(f"{ref.text} cannot be built: {first_line(error)}") from error
    tokenizer = byte_tokenizer(vocabulary, getattr(config, "max_position_embeddings", None))
    tokenizer.save_pretrained(request.folder)
    notes = {
        "initialised": f"torch.manual_seed({ref.seed})",
        "dtype": ref.dtype,
        "parameters": parameters,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    return Fetched(hash_folder(request.folder), notes)


def empty_model(ref: ModelRef) -> Any:
    """The model without weights: its parameters have shapes alone. SnapshotError for an unknown architecture."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(random_config(ref), dtype=getattr(torch, ref.dtype))


def _initialise(ref: ModelRef, config: Any, request: Request) -> int:
    """Weights drawn in their final dtype, so that memory never holds more than one copy; parameter count."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(ref.seed)
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, ref.dtype))
    model.save_pretrained(request.folder)
    return int(model.num_parameters())


def random_config(ref: ModelRef) -> Any:
    """The library's config with the name's fields; of its own defaults only the token ids change."""
    if ref.architecture not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or ref.architecture not in CONFIG_MAPPING_NAMES:
        hint = _nearest(ref.architecture, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
        raise SnapshotError(
            f"{ref.text}: transformers {transformers.__version__} has no causal language model "
            f"{ref.architecture!r}{hint}"
        )
    kind = type(AutoConfig.for_model(ref.architecture))
    known = ({field.name for field in fields(kind)} | set(kind.attribute_map)) - _NOT_FIELDS
    for name, value in ref.fields.items():
        if name in _NOT_FIELDS:
            raise SnapshotError(f"{ref.text}: {name} is set by the byte-level tokenizer or the library; remove it")
        if name not in known:
            raise SnapshotError(f"{ref.text}: {kind.__name__} has no field {name!r}{_nearest(name, known)}")
        if isinstance(value, int) and value < 0:
            raise SnapshotError(f"{ref.text}: {name} cannot be negative ({value})")
    try:
        return AutoConfig.for_model(ref.architecture, **ref.fields, **SPECIAL_TOKENS)
    except Exception as error:  # whatever the library finds wrong with these fields
        raise SnapshotError(f"{ref.text}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """transformers' config errors open with a heading; the line after it says what is wrong."""
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
