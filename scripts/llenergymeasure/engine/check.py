"""Ask the installed libraries about an experiment before anything is loaded.

The rules of a new library version thus apply without a change here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from transformers import BitsAndBytesConfig, CompileConfig, ContinuousBatchingConfig, GenerationConfig, PreTrainedModel

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.problems.catalogue import LIBRARY_IGNORES, LIBRARY_REFUSES
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.rules.passthrough import check_passthrough, check_torch_compile
from llenergymeasure.config.settings.registry import keywords, parameters, requested
from llenergymeasure.config.settings.setting_paths import PASSTHROUGH
from llenergymeasure.engine.attention_check import attention_problems
from llenergymeasure.engine.failure import one_line
from llenergymeasure.engine.generation.keywords import continuous_options, generate_keywords
from llenergymeasure.engine.loading.load import compile_keywords
from llenergymeasure.engine.machine import unmet_requirements, unusable_cuda
from llenergymeasure.engine.quantization_check import quantization_problems


def check_experiment(config: ExperimentConfig) -> list[Problem]:
    """Problems that the installed transformers, bitsandbytes and torch report, as errors and warnings."""
    unknown = check_passthrough(config, accepted_keywords())
    return [
        *unknown,
        *check_torch_compile(
            config,
            modes={"default", *torch._inductor.list_mode_options()},
            backends=torch._dynamo.list_backends(exclude_tags=()),
        ),
        *unmet_requirements(config),
        *unusable_cuda(config),
        # An unknown keyword is reported above already; a library that is asked with it would report less.
        *([] if unknown else _asked(config)),
    ]


def _asked(config: ExperimentConfig) -> Iterator[Problem]:
    yield from attention_problems(config)
    yield from _generation(config)
    yield from _quantization(config)
    yield from _compilation(config)
    yield from _continuous(config)


def accepted_keywords() -> dict[str, set[str]]:
    """Names that each call takes, from the libraries' own signatures."""
    return {
        "from_pretrained": _named(inspect.signature(PreTrainedModel.from_pretrained)) | FROM_PRETRAINED_EXTRA,
        "bitsandbytes": _named(inspect.signature(BitsAndBytesConfig.__init__)),
        "generate": set(GenerationConfig().to_dict()) | {"tokenizer", "synced_gpus"},
        "compile": _named(inspect.signature(torch.compile)) - {"model"},
        "continuous_batching": _named(inspect.signature(ContinuousBatchingConfig.__init__)),
    }


# `from_pretrained` takes these out of its **kwargs by name; its signature does not show them.
FROM_PRETRAINED_EXTRA = {
    "offload_folder",
    "offload_buffers",
    "variant",
    "subfolder",
    "experts_implementation",
    "low_cpu_mem_usage",
}


def _named(signature: inspect.Signature) -> set[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name for name, item in signature.parameters.items() if item.kind in kinds} - {"self", "cls"}


def _generation(config: ExperimentConfig) -> Iterator[Problem]:
    """What `GenerationConfig` refuses (an error), and what it says it would ignore (one warning per field)."""
    given = _generate_settings(config)
    try:
        settings = GenerationConfig(**given)
        settings.validate()
    except (ValueError, TypeError) as error:
        message = one_line(error)
        yield LIBRARY_REFUSES.problem(_path_in(config, "generate", message), f"transformers refuses it: {message}")
        return
    try:
        settings.validate(strict=True)
    except ValueError as error:
        for name, reason in _issues(str(error)).items():
            yield LIBRARY_IGNORES.problem(_setting_path(config, "generate", name), f"transformers says: {reason}")


def _generate_settings(config: ExperimentConfig) -> dict[str, Any]:
    given = generate_keywords(config, pad_token_id=0)
    return {name: value for name, value in given.items() if name not in ("tokenizer", "synced_gpus")}


# "- `top_p`: `do_sample` is not set to `True`. However, …", one line per field.
_ISSUE = re.compile(r"^- `(\w+)`: (.+)$", re.MULTILINE)


def _issues(text: str) -> dict[str, str]:
    issues = dict(_ISSUE.findall(text))
    return issues or {"": text.splitlines()[0]}


def _quantization(config: ExperimentConfig) -> Iterator[Problem]:
    given = {**keywords(config, "bitsandbytes"), **config.passthrough_kwargs.bitsandbytes}
    refused = list(_refused(config, "bitsandbytes", lambda: BitsAndBytesConfig(**given))) if given else []
    yield from refused or quantization_problems(config)


def _compilation(config: ExperimentConfig) -> Iterator[Problem]:
    given = compile_keywords(config)
    if given is not None:
        # This only wraps the function; nothing is compiled before the first call.
        yield from _refused(config, "compile", lambda: torch.compile(lambda: None, **given))
    if config.pytorch.compile_config is not None:
        wanted: Mapping[str, Any] = config.pytorch.compile_config
        yield from _refused(config, "generate", lambda: CompileConfig(**wanted), name="compile_config")


def _continuous(config: ExperimentConfig) -> Iterator[Problem]:
    if config.pytorch.batching == "continuous":
        options = continuous_options(config)
        yield from _refused(config, "continuous_batching", lambda: ContinuousBatchingConfig(**options))


def _refused(config: ExperimentConfig, target: str, ask: Any, name: str = "") -> Iterator[Problem]:
    try:
        ask()
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        message = one_line(error)
        path = _setting_path(config, target, name) if name else _path_in(config, target, message)
        yield LIBRARY_REFUSES.problem(path, f"the library refuses it: {message}")


def _path_in(config: ExperimentConfig, target: str, message: str) -> str:
    """The setting whose keyword the library's message names, else the section."""
    words = set(re.findall(r"\w+", message))
    named = [name for name in _keywords_set(config, target) if name in words]
    return _setting_path(config, target, named[0] if named else "")


def _setting_path(config: ExperimentConfig, target: str, name: str) -> str:
    """Where the study sets that keyword of the library."""
    return _keywords_set(config, target).get(name, _SECTIONS.get(target, "pytorch"))


def _keywords_set(config: ExperimentConfig, target: str) -> dict[str, str]:
    """Keyword of a target → the path that sets it in this experiment."""
    declared = {parameters()[path].keyword: path for path in requested(config) if parameters()[path].target == target}
    passed = {name: f"{PASSTHROUGH}.{target}.{name}" for name in getattr(config.passthrough_kwargs, target, {})}
    return {**declared, **passed}


_SECTIONS = {"generate": "decoder", "continuous_batching": f"{PASSTHROUGH}.continuous_batching"}
