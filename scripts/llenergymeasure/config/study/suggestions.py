"""What an unknown key most likely means: a setting in another place, the library's name for one, or a misspelling."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache

from llenergymeasure.config.rules.passthrough import settings_by_keyword
from llenergymeasure.config.settings.costs import CostsConfig
from llenergymeasure.config.settings.protocol import MeasurementConfig
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import is_leaf, is_section, leaves, open_sections, sections
from llenergymeasure.config.settings.slo import SloConfig
from llenergymeasure.config.settings.study_config import StudyConfig

OTHER_NAMES: Mapping[str, str] = {
    "compile": "pytorch.torch_compile",
    "flash_attention": "pytorch.attn_implementation",
    "gpus": "pytorch.devices",
    "max_tokens": "max_output_tokens",
    "num_gpus": "pytorch.devices",
    "quantization": "pytorch.quantization_config",
    "tensor_parallel_size": "pytorch.tp_size",
    "use_flash_attention_2": "pytorch.attn_implementation",
}
"""Names that other programs (vLLM, optimum-benchmark, lm-eval) have for a setting."""


def suggest(path: str) -> str | None:
    """For a key of an experiment: the setting that it most likely means, as a phrase; None where nothing is near."""
    name = path.rpartition(".")[2]
    if (setting := _setting_of_that_name(path)) is not None:
        return f"did you mean {setting}?"
    if (setting := _settings_by_library_name().get(name)) is not None:
        return f"write {setting}, which sets it"
    if name in _study_keys():
        return f"did you mean {_study_keys()[name]}?"
    return _spelled(path, _settings_by_name())


def suggest_key(path: str) -> str | None:
    """The same for a key of the study itself or of its sections `measurement`, `costs` and `slo`."""
    name = path.rpartition(".")[2]
    if (setting := _setting_of_that_name(path)) is not None:
        return f"did you mean defaults.{setting}?"
    if name in _study_keys():
        return f"did you mean {_study_keys()[name]}?"
    if (setting := _settings_by_library_name().get(name)) is not None:
        return f"write defaults.{setting}, which sets it"
    here = {key.rpartition(".")[2]: key for key in _keys_beside(path)}
    return _spelled(path, here) or _spelled(
        path, {name: f"defaults.{key}" for name, key in _settings_by_name().items()}
    )


def _setting_of_that_name(path: str) -> str | None:
    """A setting or section of exactly that path or name."""
    if is_leaf(path) or is_section(path):
        return path
    return next((known for known in leaves() if known.rpartition(".")[2] == path.rpartition(".")[2]), None)


def _keys_beside(path: str) -> Iterable[str]:
    section = path.rpartition(".")[0]
    return [key for key in _study_keys().values() if key.rpartition(".")[0] == section]


def _spelled(path: str, known: Mapping[str, str]) -> str | None:
    """known: name → path"""
    name = path.rpartition(".")[2]
    if near := difflib.get_close_matches(name, list(known), n=1, cutoff=0.75):
        return f"did you mean {known[near[0]]}?"
    near = difflib.get_close_matches(path, list(known.values()), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else None


@cache
def _study_keys() -> Mapping[str, str]:
    """Name → path of every key of a study that is not a setting of an experiment. `matrix` and its like come first."""
    paths = [f"{section}.{key}" for section, keys in _SECTIONS.items() for key in keys]
    return {path.rpartition(".")[2]: path for path in [*reversed(paths), *StudyConfig.model_fields]}


_SECTIONS: Mapping[str, Iterable[str]] = {
    "measurement": MeasurementConfig.model_fields,
    "costs": CostsConfig.model_fields,
    "slo": SloConfig.model_fields,
}


@cache
def _settings_by_name() -> Mapping[str, str]:
    """Names that a misspelt key is compared with → setting: its own name first, then the library's."""
    own = {path.rpartition(".")[2]: path for path in (*reversed(list(leaves())), *open_sections(), *sections())}
    return {**_settings_by_library_name(), **own}


@cache
def _settings_by_library_name() -> Mapping[str, str]:
    """Every name by which the library, or another program, knows what a setting decides → the setting."""
    names = dict(OTHER_NAMES)
    for item in reversed(list(parameters().values())):
        last = item.keyword.rpartition(".")[2]
        if last.isidentifier():
            names[last] = item.path
    for target in ("continuous_batching", "compile", "bitsandbytes", "generate", "from_pretrained"):
        names |= settings_by_keyword(target)
    return names
