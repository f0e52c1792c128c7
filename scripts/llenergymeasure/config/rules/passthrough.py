"""`passthrough_kwargs`: the one way to pass keywords that have no setting, and what is refused there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache

from llenergymeasure.config.problems.catalogue import (
    COMPILE_BACKEND_UNKNOWN,
    COMPILE_MODE_UNKNOWN,
    PASSTHROUGH_ENDS,
    PASSTHROUGH_RESERVED,
    PASSTHROUGH_SETTING,
    PASSTHROUGH_UNKNOWN,
    PASSTHROUGH_UNREAD,
)
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.problems.text import did_you_mean, show
from llenergymeasure.config.settings.experiment import ExperimentSettings
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import PASSTHROUGH

# Other names by which the library accepts what a setting decides.
_ALIASES: Mapping[str, Mapping[str, str]] = {
    "from_pretrained": {
        "torch_dtype": "precision",
        "pretrained_model_name_or_path": "model",
        "gguf_file": "model",
        "_attn_implementation": "pytorch.attn_implementation",
    },
    "bitsandbytes": {"_load_in_4bit": "pytorch.load_in_4bit", "_load_in_8bit": "pytorch.load_in_8bit"},
    "generate": {
        "max_length": "max_output_tokens",
        "min_length": "decoder.min_new_tokens",
        "disable_compile": "pytorch.torch_compile",
        "seed": "random_seed",
    },
    "compile": {},
    "continuous_batching": {"seed": "random_seed", "max_requests_per_batch": "pytorch.batch_size"},
}
# Keywords that would change what is measured, or what the figures are computed from.
_RESERVED: Mapping[str, Mapping[str, str]] = {
    "from_pretrained": dict.fromkeys(
        (
            "cache_dir",
            "code_revision",
            "config",
            "force_download",
            "from_flax",
            "from_tf",
            "ignore_mismatched_sizes",
            "local_files_only",
            "proxies",
            "state_dict",
            "subfolder",
            "token",
            "use_safetensors",
            "weights_only",
        ),
        "models are loaded from a pinned, verified snapshot",
    ),
    "bitsandbytes": {},
    "generate": {
        **dict.fromkeys(
            ("inputs", "input_ids", "attention_mask", "inputs_embeds", "position_ids"), "the prompts come from dataset"
        ),
        **dict.fromkeys(
            (
                "generation_config",
                "num_return_sequences",
                "output_attentions",
                "output_hidden_states",
                "output_logits",
                "output_scores",
                "pad_token_id",
                "return_dict_in_generate",
                "stopping_criteria",
                "streamer",
            ),
            "the measurement reads the generated ids",
        ),
        "tokenizer": "the model's own tokenizer is passed where stop_strings needs it",
        **dict.fromkeys(
            ("custom_generate", "trust_remote_code"), "it would run code from the hub during a measurement"
        ),
    },
    "compile": {"model": "the loaded model is what is compiled", "disable": "pytorch.torch_compile decides"},
    "continuous_batching": {},
}
# Keywords of `generate` that can end an output before it has `max_output_tokens` tokens.
END_KEYWORDS = ("eos_token_id", "exponential_decay_length_penalty", "forced_eos_token_id", "max_time", "stop_strings")


def passthrough_problems(config: ExperimentSettings) -> list[Problem]:
    """Keywords that have a setting, that nothing would read, or that the measurement itself needs."""
    problems = []
    if config.pytorch.batching != "continuous":
        problems += [
            PASSTHROUGH_UNREAD.problem(f"{PASSTHROUGH}.continuous_batching.{key}", "static batching does not read it")
            for key in config.passthrough_kwargs.continuous_batching
        ]
    if not (config.pytorch.load_in_4bit or config.pytorch.load_in_8bit):
        problems += [
            PASSTHROUGH_UNREAD.problem(f"{PASSTHROUGH}.bitsandbytes.{key}", "nothing is quantized")
            for key in config.passthrough_kwargs.bitsandbytes
            if key not in settings_by_keyword("bitsandbytes")
        ]
    if config.fixed_output:
        problems += [
            PASSTHROUGH_ENDS.problem(
                f"{PASSTHROUGH}.generate.{key}",
                f"would end outputs early; fixed_output makes every output {config.max_output_tokens} tokens long",
            )
            for key in END_KEYWORDS
            if key in config.passthrough_kwargs.generate
        ]
    for target, options in config.passthrough_kwargs.__dict__.items():
        for key in options:
            path = f"{PASSTHROUGH}.{target}.{key}"
            if key in settings_by_keyword(target):
                setting = settings_by_keyword(target)[key]
                problems.append(PASSTHROUGH_SETTING.problem(path, "has its own setting", f"use {setting}"))
            elif key in _RESERVED[target]:
                reason = _RESERVED[target][key]
                problems.append(PASSTHROUGH_RESERVED.problem(path, f"cannot be passed on: {reason}"))
    return problems


def check_passthrough(config: ExperimentSettings, accepted: Mapping[str, Collection[str]]) -> list[Problem]:
    """Keywords that the installed library does not accept.

    `accepted` maps a target (`from_pretrained`, `bitsandbytes`, `generate`, `compile`) to the keywords it accepts.
    """
    problems = []
    for target, options in config.passthrough_kwargs.__dict__.items():
        known = accepted.get(target, ())
        for key in options:
            if key not in known:
                path = f"{PASSTHROUGH}.{target}.{key}"
                problems.append(
                    PASSTHROUGH_UNKNOWN.problem(
                        path,
                        f"the installed library does not accept this keyword in {target}",
                        did_you_mean(key, known),
                    )
                )
    return problems


def check_torch_compile(
    config: ExperimentSettings, modes: Iterable[str], backends: Iterable[str] | None = None
) -> list[Problem]:
    """A compile mode or backend that the installed torch does not know."""
    problems = []
    asked = (
        ("pytorch.torch_compile_mode", config.pytorch.torch_compile_mode, modes, COMPILE_MODE_UNKNOWN),
        ("pytorch.torch_compile_backend", config.pytorch.torch_compile_backend, backends, COMPILE_BACKEND_UNKNOWN),
    )
    for path, value, known, check in asked:
        if value is not None and known is not None and value not in (names := list(known)):
            hint = did_you_mean(value, names) or f"use one of {', '.join(sorted(names))}"
            problems.append(check.problem(path, f"the installed torch does not know {show(value)}", hint))
    return problems


@cache
def settings_by_keyword(target: str) -> Mapping[str, str]:
    """Keyword → the setting that decides it: the library's names, then our own."""
    settings = {path.rpartition(".")[2]: path for path in parameters()}
    settings |= {item.keyword: path for path, item in parameters().items() if item.target == target}
    settings |= _ALIASES[target]
    return settings
