"""The generation settings in a model's own files, and which of them decide how an experiment runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import GenerationConfig

from llenergymeasure.config.problems.text import first_few, show
from llenergymeasure.config.settings.setting_paths import PASSTHROUGH
from llenergymeasure.engine.loading.model_files import GENERATION_FILE, ModelFiles

# The library's own name of the field: a keyword does not override what a file sets there.
LIBRARY_ATTENTION = "_attn_implementation"
# What the measurement reads: one sequence per prompt, as a plain tensor. A model's own file may say otherwise.
RELIED_ON: Mapping[str, Any] = {
    "num_return_sequences": 1,
    "return_dict_in_generate": False,
    "output_scores": False,
    "output_logits": False,
    "output_attentions": False,
    "output_hidden_states": False,
}
# Special tokens of the model, and what the measurement sets in every call.
_NO_CHOICE = frozenset(
    {
        *RELIED_ON,
        "bos_token_id",
        "decoder_start_token_id",
        "eos_token_id",
        "is_assistant",
        "max_length",
        "max_new_tokens",
        "pad_token_id",
        "transformers_version",
    }
)
_SAMPLING = frozenset({"temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff"})
_BEAMS = frozenset({"early_stopping", "length_penalty", "num_beam_groups", "diversity_penalty"})
# Read from the draft model's configuration alone.
_DRAFT = frozenset(
    {
        "assistant_confidence_threshold",
        "assistant_lookbehind",
        "num_assistant_tokens",
        "num_assistant_tokens_schedule",
        "target_lookbehind",
    }
)
# `generate_batch` reads none of these.
NOT_CONTINUOUS = frozenset(
    {
        *_BEAMS,
        "max_matching_ngram_size",
        "assistant_early_exit",
        "cache_config",
        "cache_implementation",
        "compile_config",
        "disable_compile",
        "encoder_no_repeat_ngram_size",
        "encoder_repetition_penalty",
        "guidance_scale",
        "max_cache_len",
        "max_time",
        "min_length",
        "min_new_tokens",
        "no_repeat_ngram_size",
        "num_beams",
        "prefill_chunk_size",
        "prompt_lookup_num_tokens",
        "repetition_penalty",
        "stop_strings",
        "use_cache",
    }
)


@dataclass(frozen=True)
class ModelDefaults:
    """values: field of the `GenerationConfig` → value, where it is not the library's default
    generation_file: names that generation_config.json sets; the others come from config.json
    attention: field and value of config.json that name another attention than the library takes by itself
    """

    values: Mapping[str, Any]
    generation_file: frozenset[str]
    attention: tuple[str, str] | None = None

    def file_that_sets(self, name: str) -> str:
        return GENERATION_FILE if name in self.generation_file else "config.json"

    @property
    def min_length(self) -> int | None:
        return self.values.get("min_length") or None


@dataclass(frozen=True)
class ModelChoice:
    """A setting that the model's file decides, since the study does not set it."""

    name: str
    value: Any
    file: str
    of_draft: bool = False


def take_defaults(model: Any, files: ModelFiles) -> ModelDefaults:
    """What the model's files set. The limits of the whole sequence's length are taken out of the model's configuration.

    Beside the number of new tokens, which every experiment sets, the library does not use them, and says so in the log
    in every call, also in a window. The least length is handed over where it counts (`generate_keywords`).
    """
    held = model.generation_config
    library = GenerationConfig._get_default_generation_params()
    known = {name for name in GenerationConfig().to_dict() if name not in _NO_CHOICE and not name.startswith("_")}
    values = {
        name: value
        for name, value in held.to_dict().items()
        # A setting that is off in the file and by default in the library is not a choice.
        if name in known and value != library.get(name) and (value or library.get(name))
    }
    values = {name: value for name, value in values.items() if value is not None}
    held.max_length = held.min_length = None
    return ModelDefaults(values, frozenset(files.generation), _attention(files.config))


def _attention(config: Mapping[str, Any]) -> tuple[str, str] | None:
    """The attention implementation in config.json. LIBRARY_ATTENTION wins over what the study sets."""
    for name in (LIBRARY_ATTENTION, "attn_implementation"):
        value = config.get(name)
        if isinstance(value, str) and value != "sdpa":
            return name, value
    return None


def choices(
    defaults: ModelDefaults, in_force: GenerationConfig, study: Mapping[str, Any], *, continuous: bool
) -> list[ModelChoice]:
    """The fields of the model's files that decide how this experiment generates.

    in_force: the configuration that generation ran with
    study: the keywords that the study hands over, which win
    """
    unused = {
        *_DRAFT,
        *(() if in_force.do_sample else _SAMPLING),
        *(() if (in_force.num_beams or 1) > 1 else _BEAMS),
        *(() if in_force.prompt_lookup_num_tokens else ("max_matching_ngram_size",)),
        *(() if in_force.cache_implementation else ("cache_config", "max_cache_len")),
        *(("min_length",) if in_force.min_new_tokens or in_force.eos_token_id is None else ()),
        *(NOT_CONTINUOUS if continuous else ()),
    }
    return [
        ModelChoice(name, value, f"the model's {defaults.file_that_sets(name)}")
        for name, value in defaults.values.items()
        if name not in unused and name not in study and getattr(in_force, name) is not None
    ]


def describe_source(name: str, given: Mapping[str, Any]) -> str:
    """Who sets a field that has no parameter of its own, in words. given: the keywords of the call"""
    return f"{PASSTHROUGH}.generate" if name in given else f"the model's {GENERATION_FILE}"


def unset_by_study(defaults: ModelDefaults, given: Mapping[str, Any]) -> str | None:
    """A hint at the model's files for a refused `generate`; None where the files set nothing."""
    names = [name for name in defaults.values if name not in given and name not in _SAMPLING | _DRAFT]
    if not names:
        return None
    settings = first_few(f"{name} = {show(defaults.values[name])}" for name in names)
    return f"the model's {defaults.file_that_sets(names[0])} sets {settings}, and the study does not"


def draft_choices(defaults: ModelDefaults) -> list[ModelChoice]:
    """How many tokens a draft model guesses, and when it stops: the library reads that from the draft model's file."""
    return [
        ModelChoice(name, value, f"the draft model's {defaults.file_that_sets(name)}", of_draft=True)
        for name, value in defaults.values.items()
        if name in _DRAFT
    ]
