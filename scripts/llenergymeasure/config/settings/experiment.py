"""One experiment: the whole intent, nothing about the machine it runs on."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from llenergymeasure.config.settings.base import Config
from llenergymeasure.config.settings.dataset import DatasetSettings
from llenergymeasure.config.settings.decoder import DecoderSettings
from llenergymeasure.config.settings.model_ref import model_name
from llenergymeasure.config.settings.parameter import LibraryChoice, parameter
from llenergymeasure.config.settings.protocol import BaselineSettings, EnergySettings, WarmupSettings
from llenergymeasure.config.settings.pytorch import PyTorchSettings


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"holds a value that is no plain YAML value; {error}") from error
    return options


Options = Annotated[dict[str, Any], AfterValidator(_plain)]


class PassthroughConfig(Config):
    """Keywords for the library that have no setting of their own, by the call they go to.

    They are checked against the installed library's signatures; a keyword that has a setting is refused.
    """

    from_pretrained: Options = Field(default_factory=dict)
    """Keywords of `AutoModelForCausalLM.from_pretrained`."""

    bitsandbytes: Options = Field(default_factory=dict)
    """Keywords of `BitsAndBytesConfig`."""

    generate: Options = Field(default_factory=dict)
    """Fields of transformers' `GenerationConfig`."""

    compile: Options = Field(default_factory=dict)
    """Keywords of `torch.compile`."""

    continuous_batching: Options = Field(default_factory=dict)
    """Fields of transformers' `ContinuousBatchingConfig`; needs `pytorch.batching: continuous`."""


class ExperimentSettings(Config):
    """What is run and measured once per replicate."""

    model: Annotated[str, AfterValidator(model_name)]
    """`org/name`, `./folder`, `package:distribution/file.gguf` or `random:architecture?field=value&seed=7`."""

    precision: Annotated[
        Literal["fp32", "fp16", "bf16"],
        parameter(
            target="from_pretrained",
            keyword="dtype",
            level="load",
            library_default=LibraryChoice("the type the weights are stored in"),
            evidence="dtype",
            test_values=("fp32", "fp16", "bf16"),
        ),
    ] = "bf16"
    """Number format of weights and activations that are not quantized."""

    max_input_tokens: Annotated[
        int,
        Field(ge=1),
        parameter(
            target="runtime",
            keyword="max_length of the tokenizer",
            level="generation",
            library_default=LibraryChoice("prompts are not cut"),
            evidence="max_input_tokens",
            test_values=(64, 512),
        ),
    ] = 512
    """Longer prompts are cut to this many tokens."""

    max_output_tokens: Annotated[
        int,
        Field(ge=1),
        parameter(
            target="generate",
            keyword="max_new_tokens",
            level="generation",
            library_default=LibraryChoice("what the model's generation config says, else 20 tokens in all"),
            evidence="max_new_tokens",
            test_values=(16, 128),
        ),
    ] = 128
    """Tokens generated at most; with `fixed_output`, exactly."""

    fixed_output: bool = True
    """Every output has `max_output_tokens` tokens, so that all experiments do the same work.
    With false a model stops where it wants to, and the lengths are part of the result."""

    n: Annotated[int, Field(ge=1)] = 100
    """Number of prompts in one pass."""

    random_seed: Annotated[
        int,
        Field(ge=0, le=2**32 - 1),
        parameter(
            target="runtime",
            keyword="torch.manual_seed",
            level="generation",
            library_default=LibraryChoice("a new seed in every process"),
            evidence="random_seed",
            test_values=(0, 42),
        ),
    ] = 42
    """Seed of the choice of prompts and of sampling."""

    cpu_threads: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="runtime",
            keyword="torch.set_num_threads",
            level="load",
            library_default=LibraryChoice("one thread a physical core"),
            evidence="cpu_threads",
            test_values=(1, 2),
        ),
    ] = None
    """Threads of an operation on the CPU."""

    pytorch: PyTorchSettings = PyTorchSettings.model_construct()
    """How the model is loaded and run."""

    decoder: DecoderSettings = DecoderSettings.model_construct()
    """How tokens are chosen."""

    dataset: DatasetSettings = DatasetSettings.model_construct()
    """Which prompts."""

    warmup: WarmupSettings = WarmupSettings.model_construct()
    """When the model counts as warm."""

    baseline: BaselineSettings = BaselineSettings.model_construct()
    """Power of the idle machine."""

    energy: EnergySettings = EnergySettings.model_construct()
    """Which meters."""

    passthrough_kwargs: PassthroughConfig = PassthroughConfig()
    """Keywords that have no setting of their own."""
