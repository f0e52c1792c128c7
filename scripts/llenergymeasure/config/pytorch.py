"""How the model is loaded and run: the settings of transformers, bitsandbytes and torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from llenergymeasure.config.base import RuledConfig
from llenergymeasure.config.declare import LibraryChoice, Relation, When, excludes, needs, parameter

GREEDY_OR_SAMPLING = When("pytorch.num_beams", "is", 1)
STATIC_CACHES = ("static", "offloaded_static", "sliding_window")
AUTOMATIC_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")

CacheImplementation = Literal["static", "offloaded_static", "dynamic", "offloaded", "quantized", "sliding_window"]
_GONE_CACHES = {
    "hybrid": "transformers silently runs a DynamicCache instead",
    "hybrid_chunked": "transformers has deprecated it and works the layers out by itself",
    "offloaded_hybrid": "transformers has deprecated it and works the layers out by itself",
    "offloaded_hybrid_chunked": "transformers has deprecated it and works the layers out by itself",
    "mamba": "transformers refuses it with a ValueError; state-space models bring their own cache",
    "paged": "it belongs to continuous batching, which is not measured here",
}
_DEVICE = re.compile(r"(cpu|mps|(cuda|xpu|npu|hpu)(:\d+)?)")
_SIZE = re.compile(r"\d+(\.\d+)?\s?[KMG]i?B", re.IGNORECASE)


def _known_cache(value: Any) -> Any:
    if isinstance(value, str) and value in _GONE_CACHES:
        raise ValueError(
            f"is {value!r}: {_GONE_CACHES[value]}; use static, offloaded_static, dynamic, offloaded or quantized"
        )
    return value


def _device_map(value: str | dict[str, int | str] | None) -> str | dict[str, int | str] | None:
    if isinstance(value, str) and value not in AUTOMATIC_MAPS and not _DEVICE.fullmatch(value):
        raise ValueError(
            f"is {value!r}; use one of {', '.join(AUTOMATIC_MAPS)}, a device such as cpu or cuda:0, "
            "or a mapping from module to device"
        )
    return value


def _numbered_devices(value: Any) -> Any:
    """JSON has no number keys: a device index comes back from plan.json as text."""
    if not isinstance(value, Mapping):
        return value
    return {int(key) if isinstance(key, str) and key.isdigit() else key: size for key, size in value.items()}


def _sizes(value: dict[int | str, int | str] | None) -> dict[int | str, int | str] | None:
    if value == {}:
        raise ValueError("is empty; name a device such as 0: 10GiB, or remove it")
    for device, size in (value or {}).items():
        if isinstance(size, str) and not _SIZE.fullmatch(size):
            raise ValueError(f"gives {device} the size {size!r}; write bytes, or text such as 10GiB or 800MB")
        if isinstance(device, str) and device not in ("cpu", "disk", "mps"):
            raise ValueError(f"names a device {device!r}; use a device's number, cpu, mps or disk")
    return value


def _needs_compile(rule: str) -> Relation:
    return needs(
        When("pytorch.torch_compile", "is", True),
        rule=rule,
        because="nothing is compiled without it",
        fix="set pytorch.torch_compile: true or remove this",
    )


def _needs_4bit(rule: str) -> Relation:
    return needs(
        When("pytorch.load_in_4bit", "is", True),
        rule=rule,
        because="bitsandbytes reads it for 4-bit weights only",
        fix="set pytorch.load_in_4bit: true or remove this",
    )


class PyTorchConfig(RuledConfig):
    """Settings of the PyTorch engine. Each one left out is the library's default."""

    batch_size: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="runtime",
            keyword="batch_size",
            level="generation",
            library_default=1,
            evidence="batch_size",
            test_values=(1, 2, 4),
        ),
    ] = None
    """Prompts generated from at a time, left-padded to the longest."""

    attn_implementation: Annotated[
        Literal["sdpa", "flash_attention_2", "flash_attention_3", "eager"] | None,
        parameter(
            target="from_pretrained",
            keyword="attn_implementation",
            level="load",
            library_default=LibraryChoice("sdpa where the architecture has it, else eager"),
            evidence="attention",
            skip="flash_attention_2 needs the flash-attn package and a CUDA GPU, flash_attention_3 Hopper or newer",
            test_values=("sdpa", "eager", "flash_attention_2", "flash_attention_3"),
        ),
    ] = None
    """The attention kernel."""

    torch_compile: Annotated[
        bool | None,
        parameter(
            target="runtime",
            keyword="model.compile",
            level="load",
            library_default=False,
            evidence="compile",
            test_values=(True,),
        ),
    ] = None
    """Compile the model in place. The compilation's time and energy are the load step's own entries."""

    torch_compile_mode: Annotated[
        str | None,
        Field(min_length=1),
        parameter(
            target="compile",
            keyword="mode",
            level="load",
            library_default="default",
            evidence="compile_mode",
            relations=(_needs_compile("compile-mode-needs-compile"),),
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
            level="load",
            library_default="inductor",
            evidence="compile_backend",
            relations=(_needs_compile("compile-backend-needs-compile"),),
            test_values=("inductor", "eager"),
        ),
    ] = None
    """A compiler backend of the installed torch."""

    load_in_4bit: Annotated[
        bool | None,
        parameter(
            target="bitsandbytes",
            keyword="load_in_4bit",
            level="load",
            library_default=False,
            evidence="quantization",
            relations=(
                excludes(
                    When("pytorch.load_in_8bit", "is", True),
                    rule="quantization-4bit-or-8bit",
                    because="weights have one width",
                    fix="keep one of the two",
                    neutral=(False,),
                ),
            ),
            test_values=(True,),
        ),
    ] = None
    """Quantize the weights to 4 bits with bitsandbytes."""

    load_in_8bit: Annotated[
        bool | None,
        parameter(
            target="bitsandbytes",
            keyword="load_in_8bit",
            level="load",
            library_default=False,
            evidence="quantization_8bit",
            test_values=(True,),
        ),
    ] = None
    """Quantize the weights to 8 bits with bitsandbytes."""

    bnb_4bit_compute_dtype: Annotated[
        Literal["float16", "bfloat16", "float32"] | None,
        parameter(
            target="bitsandbytes",
            keyword="bnb_4bit_compute_dtype",
            level="load",
            library_default="float32",
            evidence="quant_compute_dtype",
            relations=(_needs_4bit("bnb-compute-dtype-needs-4bit"),),
            test_values=("float16", "bfloat16", "float32"),
        ),
    ] = None
    """The type 4-bit weights are multiplied in."""

    bnb_4bit_quant_type: Annotated[
        Literal["nf4", "fp4"] | None,
        parameter(
            target="bitsandbytes",
            keyword="bnb_4bit_quant_type",
            level="load",
            library_default="fp4",
            evidence="quant_type",
            relations=(_needs_4bit("bnb-quant-type-needs-4bit"),),
            test_values=("nf4", "fp4"),
        ),
    ] = None
    """The 4-bit number format."""

    bnb_4bit_use_double_quant: Annotated[
        bool | None,
        parameter(
            target="bitsandbytes",
            keyword="bnb_4bit_use_double_quant",
            level="load",
            library_default=False,
            evidence="quant_double",
            relations=(_needs_4bit("bnb-double-quant-needs-4bit"),),
            test_values=(True, False),
        ),
    ] = None
    """Quantize the quantization constants too; saves about 0.4 bits a parameter."""

    use_cache: Annotated[
        bool | None,
        parameter(
            target="generate",
            keyword="use_cache",
            level="generation",
            library_default=True,
            evidence="cache_used",
            test_values=(True, False),
        ),
    ] = None
    """Keep keys and values of earlier tokens. Without it every step computes the whole sequence again."""

    cache_implementation: Annotated[
        CacheImplementation | None,
        BeforeValidator(_known_cache, json_schema_input_type=CacheImplementation | None),
        parameter(
            target="generate",
            keyword="cache_implementation",
            level="generation",
            library_default=LibraryChoice("dynamic, unless the model's own generation config says otherwise"),
            evidence="cache_class",
            relations=(
                needs(
                    When("pytorch.use_cache", "is", True),
                    rule="cache-implementation-needs-cache",
                    because="transformers ignores it and only logs a line",
                    fix="remove one of the two",
                ),
            ),
            skip="offloaded and offloaded_static need a CUDA device, quantized needs optimum-quanto",
            test_values=("static", "offloaded_static", "dynamic", "offloaded", "quantized"),
        ),
    ] = None
    """The kind of key-value cache. `sliding_window` is deprecated and gives a static cache."""

    num_beams: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="generate",
            keyword="num_beams",
            level="generation",
            library_default=1,
            evidence="beams",
            relations=(
                excludes(
                    When("decoder.do_sample", "is", True),
                    rule="beams-with-sampling",
                    because="the beams are sampled, which is not pure beam search",
                    fix="set decoder.do_sample: false for beam search",
                    severity="warning",
                    neutral=(1,),
                ),
            ),
            test_values=(1, 2, 4),
            decoding=("beam_search", "beam_sampling"),
        ),
    ] = None
    """Width of the beam search; each beam holds its own key-value cache, so memory grows with it."""

    early_stopping: Annotated[
        bool | Literal["never"] | None,
        parameter(
            target="generate",
            keyword="early_stopping",
            level="generation",
            library_default=False,
            evidence="early_stopping",
            relations=(
                needs(
                    When("pytorch.num_beams", "above", 1),
                    rule="early-stopping-needs-beams",
                    because="transformers ignores it and only logs a line",
                    fix="set pytorch.num_beams to 2 or more, or remove this",
                    neutral=(False,),
                ),
                excludes(
                    When("fixed_output", "is", True),
                    rule="early-stopping-fixed-output",
                    because="with fixed_output no beam ends early",
                    fix="set fixed_output: false to see its effect",
                    severity="warning",
                    neutral=(False,),
                ),
            ),
            test_values=(True, False, "never"),
        ),
    ] = None
    """When a beam search ends: at enough finished beams (true), by a heuristic (false), or never early ("never")."""

    length_penalty: Annotated[
        float | None,
        parameter(
            target="generate",
            keyword="length_penalty",
            level="generation",
            library_default=1.0,
            evidence="length_penalty",
            relations=(
                needs(
                    When("pytorch.num_beams", "above", 1),
                    rule="length-penalty-needs-beams",
                    because="transformers ignores it and only logs a line",
                    fix="set pytorch.num_beams to 2 or more, or remove this",
                    neutral=(1.0,),
                ),
                excludes(
                    When("fixed_output", "is", True),
                    rule="length-penalty-fixed-output",
                    because="with fixed_output all beams have the same length",
                    fix="set fixed_output: false to see its effect",
                    severity="warning",
                    neutral=(1.0,),
                ),
            ),
            test_values=(0.5, 1.0, 2.0),
        ),
    ] = None
    """Exponent on the length that beams are ranked with; above 0 favours longer ones, below 0 shorter ones."""

    no_repeat_ngram_size: Annotated[
        int | None,
        Field(ge=0),
        parameter(
            target="generate",
            keyword="no_repeat_ngram_size",
            level="generation",
            library_default=0,
            evidence="ngrams",
            test_values=(0, 3),
        ),
    ] = None
    """No run of this many tokens occurs twice in an output; 0 is off."""

    prompt_lookup_num_tokens: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="generate",
            keyword="prompt_lookup_num_tokens",
            level="generation",
            library_default=LibraryChoice("no prompt lookup"),
            evidence="prompt_lookup",
            relations=(
                needs(
                    When("pytorch.batch_size", "is", 1),
                    rule="prompt-lookup-needs-single-batch",
                    because="transformers refuses assisted generation of more than one prompt at a time",
                    fix="set pytorch.batch_size: 1 or remove this",
                ),
                needs(
                    GREEDY_OR_SAMPLING,
                    rule="prompt-lookup-excludes-beams",
                    because="transformers runs the beam search and ignores the lookup",
                    fix="remove one of the two",
                ),
                needs(
                    When("pytorch.use_cache", "is", True),
                    rule="prompt-lookup-needs-cache",
                    because="transformers refuses assisted generation without a cache",
                    fix="remove one of the two",
                ),
                excludes(
                    When("pytorch.cache_implementation", "one of", STATIC_CACHES),
                    rule="prompt-lookup-excludes-static-cache",
                    because="transformers refuses assisted generation with a static cache",
                    fix="use a dynamic cache or remove this",
                ),
            ),
            test_values=(3, 10),
            decoding=("prompt_lookup",),
        ),
    ] = None
    """Speculative decoding without a draft model: this many tokens are guessed by looking back into the prompt."""

    device_map: Annotated[
        str | dict[str, int | str] | None,
        AfterValidator(_device_map),
        parameter(
            target="from_pretrained",
            keyword="device_map",
            level="load",
            library_default=LibraryChoice("this pipeline passes auto: accelerators first, then the CPU"),
            evidence="device_map",
            test_values=("auto", "cpu"),
        ),
    ] = None
    """Where the model goes: a strategy, a device, or a mapping from module to device."""

    max_memory: Annotated[
        dict[int | str, int | str] | None,
        BeforeValidator(_numbered_devices, json_schema_input_type=dict[str, int | str] | None),
        AfterValidator(_sizes),
        parameter(
            target="from_pretrained",
            keyword="max_memory",
            level="load",
            library_default=LibraryChoice("all memory of every visible device"),
            evidence="max_memory",
            skip="shows an effect only with more than one device, or where the model does not fit",
            test_values=({"cpu": "8GiB"},),
        ),
    ] = None
    """The most memory the weights may take on each device: number or `cpu` → size such as 10GiB."""

    revision: Annotated[
        str | None,
        Field(min_length=1),
        parameter(
            target="from_pretrained",
            keyword="revision",
            level="load",
            library_default=LibraryChoice("main, pinned by the lock file to a commit"),
            evidence="revision",
        ),
    ] = None
    """Branch, tag or 40-character commit of a hub model; the version of a package. Part of the experiment's id."""

    trust_remote_code: Annotated[
        bool | None,
        parameter(
            target="from_pretrained",
            keyword="trust_remote_code",
            level="load",
            library_default=LibraryChoice("allowed for a snapshot whose files are in the lock, refused otherwise"),
            evidence="remote_code",
            skip="needs a model that brings its own code",
            test_values=(True, False),
        ),
    ] = None
    """Run Python code that comes with the model."""

    num_processes: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="runtime",
            keyword="num_processes",
            level="load",
            library_default=1,
            evidence="replicas",
            test_values=(1,),
        ),
    ] = None
    """Data-parallel copies of the model. This version measures one process."""
