"""The source of the weights and the kernels that use them: attention, revision, remote code, adapter."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.settings.parameter import LibraryChoice, Requirement, When, needs, parameter


def _adapter(text: str | None) -> str | None:
    if text is not None and parse_model_ref(text).kind not in ("folder", "hub"):
        raise ValueError(f"is {text!r}; use a folder (./my-adapter) or a hub repository (org/name)")
    return text


KERNELS_OWNER = "kernels-community"
_KERNEL = re.compile(r"([A-Za-z0-9][\w.-]*)/[A-Za-z0-9][\w.-]*@[0-9a-f]{40}(?::\w+)?")
_ATTENTION = re.compile(r"(?:paged\|)?[a-z][a-z0-9_]*")


def _attention(text: str | None) -> str | None:
    """A name of the library, which validation asks, or a kernel of the hub at a commit."""
    if text is None or _ATTENTION.fullmatch(text):
        return text
    kernel = _KERNEL.fullmatch(text)
    if kernel is None:
        raise ValueError(
            f"is {text!r}; use a name of the installed library, such as sdpa, eager, flex_attention or "
            f"flash_attention_2, or a kernel of the hub at a commit: {KERNELS_OWNER}/<name>@<40-character commit>"
        )
    if kernel.group(1) != KERNELS_OWNER:
        raise ValueError(f"is a kernel of {kernel.group(1)}; only those of {KERNELS_OWNER} are loaded")
    return text


class SourceSettings(Config):
    """Source of the model, adapter and kernels."""

    attn_implementation: Annotated[
        str | None,
        AfterValidator(_attention),
        parameter(
            target="from_pretrained",
            keyword="attn_implementation",
            level="setup",
            library_default=LibraryChoice("sdpa if the architecture supports it, else eager"),
            evidence="attention",
            requires=(
                Requirement(package="flash_attn", cuda_capability=(8, 0), values=("flash_attention_2",)),
                Requirement(package="flash_attn_interface", cuda_capability=(9, 0), values=("flash_attention_3",)),
                Requirement(package="flash_attn", cuda_capability=(9, 0), values=("flash_attention_4",)),
                # It is compiled by torch.
                Requirement(compiler="always", values=("flex_attention",)),
            ),
            test_values=("sdpa", "eager", "flash_attention_2", "flash_attention_3"),
        ),
    ] = None
    """The attention kernel: a name of the installed transformers (sdpa, eager, flex_attention, flash_attention_2 …), or
    `kernels-community/<name>@<commit>`, which needs the package kernels and lies in the Hugging Face cache."""

    revision: Annotated[
        str | None,
        Field(min_length=1),
        parameter(
            target="from_pretrained",
            keyword="revision",
            level="setup",
            library_default=LibraryChoice("main, pinned by the lock file to a commit"),
            evidence="revision",
            untried="needs a model that has revisions",
        ),
    ] = None
    """Branch, tag or 40-character commit of a hub model; the version of a package. Part of the experiment's id."""

    trust_remote_code: Annotated[
        bool | None,
        parameter(
            target="from_pretrained",
            keyword="trust_remote_code",
            level="setup",
            library_default=LibraryChoice("allowed for a snapshot whose files are in the lock, refused otherwise"),
            evidence="remote_code",
            test_values=(True, False),
        ),
    ] = None
    """Run Python code that comes with the model. Not set: it runs if the lock has the hash of every code file, and a
    model whose code is not in the lock is an error. With false it never runs."""

    adapter: Annotated[
        str | None,
        AfterValidator(_adapter),
        parameter(
            target="load_adapter",
            keyword="peft_model_id",
            level="setup",
            library_default=LibraryChoice("no adapter"),
            evidence="adapter",
            requires=(Requirement(package="peft"),),
            untried="needs an adapter that fits the model",
        ),
    ] = None
    """A LoRA adapter for the model: `./folder` or `org/name`, pinned as models are. It is not merged into the weights,
    so every adapted layer computes twice; to measure a merged model, merge it first."""

    adapter_revision: Annotated[
        str | None,
        Field(min_length=1),
        parameter(
            target="load_adapter",
            keyword="revision",
            level="setup",
            library_default=LibraryChoice("main, pinned by the lock file to a commit"),
            evidence="adapter_revision",
            untried="needs an adapter on a hub",
            relations=(
                needs(
                    When("pytorch.adapter", "set", True),
                    rule="adapter-revision-needs-adapter",
                    because="there is no adapter for that revision",
                    fix="name the adapter or remove this setting",
                ),
            ),
        ),
    ] = None
    """Branch, tag or commit of a hub adapter."""

    allow_tf32: Annotated[
        bool | None,
        parameter(
            target="runtime",
            keyword="torch.backends.cuda.matmul.allow_tf32",
            level="setup",
            library_default=False,
            evidence="tf32",
            requires=(Requirement(cuda_capability=(8, 0)),),
            test_values=(True, False),
        ),
    ] = None
    """Let float32 multiplications on CUDA devices run in TF32, with 10 bits of mantissa."""

    inference_mode: Annotated[
        bool | None,
        parameter(
            target="runtime",
            keyword="torch.inference_mode",
            level="setup",
            library_default=False,
            evidence="inference_mode",
            test_values=(True, False),
        ),
    ] = None
    """Generate inside `torch.inference_mode()`, which omits the bookkeeping of autograd for each operation. `generate`
    itself only disables gradients (`torch.no_grad()`)."""
