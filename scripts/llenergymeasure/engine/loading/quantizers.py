"""`pytorch.quantization_config`: the library's configuration object for any of its methods, checked before a load."""

from __future__ import annotations

import copy
import inspect
import json
import typing
from collections.abc import Collection, Mapping
from typing import Any

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from transformers import BitsAndBytesConfig, QuantoConfig
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AUTO_QUANTIZER_MAPPING, AutoHfQuantizer
from transformers.utils.quantization_config import QuantizationMethod

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.problems.text import did_you_mean, show
from llenergymeasure.config.settings.registry import keywords
from llenergymeasure.engine.failure import KeyRefused, one_line
from llenergymeasure.engine.loading.quantized_width import SKIP_KEYS
from llenergymeasure.engine.loading.torchao_configs import torchao_config

METHOD = "quant_method"
BITSANDBYTES = "bitsandbytes"
# The library's own names of it, which say the width.
_WIDTHS = {f"{BITSANDBYTES}_4bit": "load_in_4bit", f"{BITSANDBYTES}_8bit": "load_in_8bit"}
# Read from a file of its own, not from a configuration.
_BY_FILE = {"gguf"}


def known_methods() -> list[str]:
    """The methods of the installed library, and of packages that register more."""
    return sorted({*AUTO_QUANTIZATION_CONFIG_MAPPING, BITSANDBYTES} - _BY_FILE)


def accepted_keys(method: str) -> set[str]:
    """The keys that the library's class for a method names; those of a torchao `quant_type` come on top."""
    signature = inspect.signature(_config_class(method).__init__)
    named = {name for name, item in signature.parameters.items() if item.kind != inspect.Parameter.VAR_KEYWORD}
    return named - {"self", METHOD}


def quantization_asked(config: ExperimentConfig) -> Any | None:
    """What `from_pretrained` gets as quantization_config; None where the study asks for no quantization.

    KeyRefused, or whatever the library raises for values that it does not take.
    """
    settings = keywords(config, "from_pretrained").get("quantization_config")
    if settings is not None:
        return quantization_from_settings(settings)
    options = {**keywords(config, "bitsandbytes"), **config.passthrough_kwargs.bitsandbytes}
    # A configuration that turns both widths off makes transformers quantize anyway, to 4 bits.
    asked = options.get("load_in_4bit") or options.get("load_in_8bit")
    return BitsAndBytesConfig(**options) if asked else None


def quantization_from_settings(settings: Mapping[str, Any]) -> Any:
    """The library's configuration object.

    Raises:
        KeyRefused: a method or a key that the installed library does not have
        Exception: of the library, for the value of a key
    """
    method = settings[METHOD]
    if method not in known_methods():
        raise KeyRefused(
            METHOD, f"transformers does not know the method {show(method)}", _or_all(method, known_methods())
        )
    options = {name: value for name, value in settings.items() if name != METHOD}
    if method == "torchao":
        _check_types(_config_class(method), options)
        return torchao_config(options, accepted_keys(method))
    known = accepted_keys(method)
    for name in options:
        if name not in known:
            owner = _config_class(method).__name__
            raise KeyRefused(name, f"{owner} of transformers has no {show(name)}", _or_all(name, known))
    _check_types(_config_class(method), options)
    if method in _WIDTHS:
        options[_WIDTHS[method]] = True
    if method == BITSANDBYTES and not (options.get("load_in_4bit") or options.get("load_in_8bit")):
        raise KeyRefused(
            METHOD, "bitsandbytes quantizes to 4 or 8 bits", "add load_in_4bit: true or load_in_8bit: true"
        )
    made = _config_class(method)(**options)
    if isinstance(made, QuantoConfig) and made.activations is not None:
        raise KeyRefused("activations", "transformers does not quantize activations with quanto", "remove it")
    if made.quant_method != method and method not in _WIDTHS:
        # One class serves fp8 and mxfp8.
        made.quant_method = QuantizationMethod(method)
    return made


def asked_as_written(config: ExperimentConfig) -> tuple[str, Mapping[str, Any]] | None:
    """The setting by which the study asks for a quantization, and its keys with `quant_method`; None for none."""
    if config.pytorch.quantization_config is not None:
        return "pytorch.quantization_config", config.pytorch.quantization_config
    options = {**keywords(config, "bitsandbytes"), **config.passthrough_kwargs.bitsandbytes}
    for name in _WIDTHS.values():
        if options.get(name):
            return f"pytorch.{name}", {METHOD: BITSANDBYTES, **options}
    return None


def needs_checkpoint(method: str) -> bool:
    """Whether the library reads this method's checkpoints only, and does not quantize plain weights."""
    quantizer = AUTO_QUANTIZER_MAPPING.get(method)
    return quantizer is not None and bool(quantizer.requires_calibration)


def library_objection(quantization: Any, *, pre_quantized: bool | None, dtype: torch.dtype) -> str | None:
    """What the library's own check of this machine says against the method; None where it has no objection.

    pre_quantized: whether the checkpoint is quantized already; None where that is not known yet
    """
    placement = {"": 0} if torch.cuda.is_available() else {"": "cpu"}
    method = str(getattr(quantization.quant_method, "value", quantization.quant_method))
    read = needs_checkpoint(method) if pre_quantized is None else pre_quantized
    try:
        # A copy, because some checks change the configuration.
        quantizer = AutoHfQuantizer.from_config(copy.deepcopy(quantization), pre_quantized=read)
        quantizer.validate_environment(device_map=placement, dtype=dtype, weights_only=True)
    except Exception as error:  # noqa: BLE001 - each package fails in its own way
        return one_line(error)
    return None


def loading_keys(quantization: Any) -> Collection[str]:
    """The keys that the library takes from the study although the checkpoint has a quantization of its own."""
    asked = getattr(quantization, "get_loading_attributes", None)
    return () if asked is None else list(asked())


def _config_class(method: str) -> Any:
    return BitsAndBytesConfig if method == BITSANDBYTES else AUTO_QUANTIZATION_CONFIG_MAPPING[method]


def _check_types(kind: Any, options: Mapping[str, Any]) -> None:
    """KeyRefused for a value of another type than the class declares: the library itself reads "no" as true."""
    try:
        hints = typing.get_type_hints(kind.__init__)
    except NameError:  # of a type that only a checker imports: that one is written as text
        declared = inspect.signature(kind.__init__).parameters
        hints = {name: item.annotation for name, item in declared.items() if not isinstance(item.annotation, str)}
    hints.update((name, list[str] | None) for name in SKIP_KEYS if name in hints)
    for name, value in options.items():
        if name in hints:
            adapter = TypeAdapter(hints[name], config=ConfigDict(arbitrary_types_allowed=True, strict=True))
            try:
                # As JSON, a list is a tuple too.
                adapter.validate_json(json.dumps(value))
            except ValidationError as error:
                wanted = error.errors()[0]["msg"].removeprefix("Input should be ")
                raise KeyRefused(name, f"is {show(value)}", f"write {wanted.replace('array', 'list')}") from error


def _or_all(word: str, known: Collection[str]) -> str:
    if not known:
        return "remove it"
    return did_you_mean(word, known) or f"use one of {', '.join(sorted(known))}"
