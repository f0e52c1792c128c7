"""What is compiled, by whom and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.parameter import (
    LibraryChoice,
    Relation,
    Requirement,
    When,
    excludes,
    needs,
    parameter,
)
from llenergymeasure.config.settings.pytorch.generation import STATIC_CACHES


def _needs_compile(rule: str) -> Relation:
    return needs(
        When("pytorch.torch_compile", "is", True),
        rule=rule,
        because="nothing is compiled without it",
        fix="set pytorch.torch_compile: true or remove this setting",
    )


_OPTIONS: Mapping[str, type] = {"mode": str, "backend": str, "fullgraph": bool, "dynamic": bool}


def _compile_options(options: dict[str, str | bool] | None) -> dict[str, str | bool] | None:
    if options == {}:
        raise ValueError("is empty; name one of mode, backend, fullgraph, dynamic, or remove it")
    for name, value in (options or {}).items():
        if name not in _OPTIONS:
            raise ValueError(f"has no field {name!r}; use {', '.join(_OPTIONS)}")
        if type(value) is not _OPTIONS[name]:
            wanted = "true or false" if _OPTIONS[name] is bool else "text"
            raise ValueError(f"sets {name} to {value!r}; expected: {wanted}")
    return options


class CompilationSettings(Config):
    """Compilation of the forward pass."""

    torch_compile: Annotated[
        bool | None,
        parameter(
            target="runtime",
            keyword="model.compile",
            level="setup",
            library_default=False,
            evidence="compile",
            requires=(Requirement(compiler="always"),),
            test_values=(True,),
        ),
    ] = None
    """Compile the model in place. The time and energy of compilation are separate entries of the model setup."""

    torch_compile_mode: Annotated[
        str | None,
        Field(min_length=1),
        parameter(
            target="compile",
            keyword="mode",
            level="setup",
            library_default="default",
            evidence="compile_mode",
            relations=(
                _needs_compile("compile-mode-needs-compile"),
                needs(
                    When("pytorch.torch_compile_backend", "is", "inductor"),
                    rule="compile-mode-needs-inductor",
                    because="other backends refuse it, or ignore it and only log a warning",
                    fix="remove one of the two settings",
                    neutral=("default",),
                ),
            ),
            test_values=("default", "reduce-overhead", "max-autotune"),
        ),
    ] = None
    """A mode of the installed torch: default, reduce-overhead, max-autotune …"""

    torch_compile_backend: Annotated[
        str | None,
        Field(min_length=1),
        parameter(
            target="compile",
            keyword="backend",
            level="setup",
            library_default="inductor",
            evidence="compile_backend",
            relations=(_needs_compile("compile-backend-needs-compile"),),
            test_values=("inductor", "eager"),
        ),
    ] = None
    """A compiler backend of the installed torch."""

    compile_config: Annotated[
        dict[str, str | bool] | None,
        AfterValidator(_compile_options),
        parameter(
            target="generate",
            keyword="compile_config",
            level="generation",
            library_default=LibraryChoice("transformers' own, if it compiles: with a static cache on a CUDA device"),
            evidence="compile_config",
            relations=(
                needs(
                    When("pytorch.cache_implementation", "one of", STATIC_CACHES),
                    rule="compile-config-needs-static-cache",
                    because="transformers compiles decoding only over a static cache",
                    fix="set pytorch.cache_implementation: static or remove this setting",
                ),
                excludes(
                    When("pytorch.torch_compile", "is", True),
                    rule="compile-once",
                    because="the model would be compiled twice",
                    fix="keep one of the two settings",
                ),
            ),
            requires=(Requirement(cuda_capability=(7, 0)),),
            untried="transformers itself compiles only on accelerators",
        ),
    ] = None
    """How transformers itself compiles the decoding step over a static cache, on accelerators: any of `mode`,
    `backend`, `fullgraph` and `dynamic`. Its own default is the mode reduce-overhead, with CUDA graphs."""
