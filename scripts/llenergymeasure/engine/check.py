"""What only the installed libraries can say about an experiment, asked before anything is loaded."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from typing import Any

import torch
from transformers import BitsAndBytesConfig, GenerationConfig, PreTrainedModel

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.errors import Problem
from llenergymeasure.config.passthrough import check_passthrough, check_torch_compile
from llenergymeasure.engine.keywords import generate_keywords

LIBRARY = "library"


def check_experiment(config: ExperimentConfig) -> list[Problem]:
    """Problems the installed transformers, bitsandbytes and torch see, as errors and warnings."""
    return [
        *check_passthrough(config, accepted_keywords()),
        *check_torch_compile(
            config,
            modes={"default", *torch._inductor.list_mode_options()},
            backends=torch._dynamo.list_backends(exclude_tags=()),
        ),
        *_generation_settings(config),
    ]


def accepted_keywords() -> dict[str, set[str]]:
    """Names that each call takes, from the libraries' own signatures."""
    return {
        "from_pretrained": _named(inspect.signature(PreTrainedModel.from_pretrained)) | FROM_PRETRAINED_EXTRA,
        "bitsandbytes": _named(inspect.signature(BitsAndBytesConfig.__init__)),
        "generate": set(GenerationConfig().to_dict()) | {"tokenizer", "synced_gpus"},
        "compile": _named(inspect.signature(torch.compile)) - {"model"},
    }


# `from_pretrained` takes these out of its **kwargs by name; its signature does not show them.
FROM_PRETRAINED_EXTRA = {
    "offload_folder",
    "offload_buffers",
    "tp_plan",
    "tp_size",
    "variant",
    "subfolder",
    "experts_implementation",
    "low_cpu_mem_usage",
}


def _named(signature: inspect.Signature) -> set[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name for name, item in signature.parameters.items() if item.kind in kinds} - {"self", "cls"}


def _generation_settings(config: ExperimentConfig) -> Iterable[Problem]:
    """What `GenerationConfig` itself refuses (an error) or says it would ignore (a warning)."""
    given: dict[str, Any] = generate_keywords(config, pad_token_id=0)
    given = {name: value for name, value in given.items() if name not in ("tokenizer", "synced_gpus")}
    with _Messages("transformers.generation.configuration_utils") as said:
        try:
            GenerationConfig(**given).validate()
        except (ValueError, TypeError) as error:
            first = str(error).splitlines()[0]
            yield Problem("error", "decoder", f"transformers refuses the generation settings: {first}", rule=LIBRARY)
            return
    for message in said.lines:
        yield Problem("warning", "decoder", f"transformers says: {message.splitlines()[0]}", rule=LIBRARY)


class _Messages(logging.Handler):
    """Collects what a library's logger says while it is asked."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.WARNING)
        self._logger = logging.getLogger(name)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> _Messages:
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
