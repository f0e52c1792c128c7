"""What the libraries keep on a model from one `generate` to the next: no experiment may begin with another's state.

transformers remembers the length of the longest static cache and makes every later one as long. torch's compiler
remembers shapes, and stops compiling a function after some versions of it. `LibraryState` restores what there was right
after the load.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass
from typing import Any

import torch

from llenergymeasure.engine.failure import one_line
from llenergymeasure.engine.loading.compilation import counts
from llenergymeasure.records.finding import warning

# Attributes that `generate` sets on a model, and what they do to the next call.
KEPT = {
    "_previous_max_cache_length": "every later static cache is at least as long",
    "_compiled_call": "transformers' own compiled call",
    "_last_compile_config": "the configuration it was compiled with",
}
# What a rotary embedding of the types `dynamic` and `longrope` keeps of the longest sequence so far.
ROTARY = ("max_seq_len_cached", "attention_scaling", "inv_freq")
PLAIN = (bool, int, float, str)


class LibraryState:
    """The state of one model and, where there is one, its draft model. Created right after the load."""

    def __init__(self, *models: Any) -> None:
        self._not_reset: str | None = None
        self._models = [_ModelState(model) for model in models if model is not None]

    def reset(self) -> None:
        """Restore what there was after the load. Call it before an experiment's first pass, never between passes."""
        for state in self._models:
            state.reset()
        compiler = sys.modules.get("torch._dynamo")
        if compiler is not None and counts()["frames_seen"]:
            self._not_reset = None
            try:
                compiler.reset()
            except (AssertionError, AttributeError, LookupError, RuntimeError) as error:
                # This must not cost the measurements so far.
                self._not_reset = one_line(error)

    def warnings(self) -> list[dict[str, str]]:
        """A warning where a library keeps state that `reset` does not restore. Call it after an experiment."""
        return [*self._compiler_warnings(), *self._attribute_warnings()]

    def _compiler_warnings(self) -> list[dict[str, str]]:
        if self._not_reset is None:
            return []
        message = (
            f"torch's compiler could not be reset and keeps the shapes of earlier experiments: {self._not_reset}; "
            "to give each experiment its own process, set measurement.isolation: experiment"
        )
        return [warning("compiler-not-reset", message)]

    def _attribute_warnings(self) -> list[dict[str, str]]:
        names = sorted({name for state in self._models for name in state.unknown()})
        if not names:
            return []
        message = (
            f"generation left {', '.join(names)} on the model, which this version of the pipeline does not reset: "
            "the next experiment in the same process may see it; to give each experiment its own process, set "
            "measurement.isolation: experiment"
        )
        return [warning("state-left-behind", message)]


@dataclass
class _Rotary:
    module: torch.nn.Module
    values: dict[str, Any]

    def reset(self) -> None:
        for name, value in self.values.items():
            setattr(self.module, name, value)


class _ModelState:
    def __init__(self, model: Any) -> None:
        self._model = model
        self._plain = _plain(model)
        self._generation_config = copy.deepcopy(getattr(model, "generation_config", None))
        self._rotary = [
            _Rotary(module, _rotary_values(module))
            for module in model.modules()
            if any(name.endswith(ROTARY[0]) for name in vars(module))
        ]

    def reset(self) -> None:
        for name in KEPT:
            self._model.__dict__.pop(name, None)
        if self._generation_config is not None and self._model.generation_config != self._generation_config:
            self._model.generation_config = copy.deepcopy(self._generation_config)
        for rotary in self._rotary:
            rotary.reset()

    def unknown(self) -> set[str]:
        now = _plain(self._model)
        changed = {name for name, value in now.items() if name not in self._plain or self._plain[name] != value}
        return changed - set(KEPT)


def _plain(model: Any) -> dict[str, Any]:
    """The attributes of the model itself: plain ones with their value, others by their type."""
    return {
        name: value if isinstance(value, PLAIN) else type(value).__qualname__
        for name, value in vars(model).items()
        if not name.startswith(("_forward", "_backward"))
    }


def _rotary_values(module: torch.nn.Module) -> dict[str, Any]:
    values = {**vars(module), **dict(module.named_buffers(recurse=False))}
    return {name: value for name, value in values.items() if name.endswith(ROTARY) and "original" not in name}
