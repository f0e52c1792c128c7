"""One experiment: the whole intent, nothing about the machine it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from llenergymeasure.config.settings.base import Config, plain_mapping
from llenergymeasure.config.settings.dataset import DatasetSettings
from llenergymeasure.config.settings.decoder import DecoderSettings
from llenergymeasure.config.settings.model_ref import model_name
from llenergymeasure.config.settings.parameter import LibraryChoice, parameter
from llenergymeasure.config.settings.protocol import BaselineSettings, EnergySettings, WarmupSettings
from llenergymeasure.config.settings.pytorch import PyTorchSettings
from llenergymeasure.config.settings.sources import split_revisions

Options = Annotated[dict[str, Any], AfterValidator(plain_mapping)]


class PassthroughConfig(Config):
    """Keywords for the library that have no setting here, by the call that receives them.

    They are checked against the signatures of the installed library; a keyword that has a setting is refused.
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
    """The settings of what is run and measured once per replicate."""

    model: Annotated[str, AfterValidator(model_name)]
    """`org/name` or `org/name@revision`, `./folder`, `package:distribution/file.gguf` or
    `random:architecture?field=value&seed=7`."""

    precision: Annotated[
        Literal["fp32", "fp16", "bf16"],
        parameter(
            target="from_pretrained",
            keyword="dtype",
            level="setup",
            library_default=LibraryChoice("the type in which the weights are stored"),
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
            library_default=LibraryChoice("prompts are not truncated"),
            evidence="max_input_tokens",
            test_values=(64, 512),
        ),
    ] = 512
    """Longer prompts are truncated to this many tokens."""

    max_output_tokens: Annotated[
        int,
        Field(ge=1),
        parameter(
            target="generate",
            keyword="max_new_tokens",
            level="generation",
            library_default=LibraryChoice("the value in the model's generation config, else 20 tokens in total"),
            evidence="max_new_tokens",
            test_values=(16, 128),
        ),
    ] = 128
    """The maximum number of generated tokens; with `fixed_output`, the exact number."""

    fixed_output: bool = True
    """Every output has `max_output_tokens` tokens, so that all experiments do the same work: an end-of-sequence token
    does not end it. With false a model stops there, and the lengths are part of the result."""

    n_prompts: Annotated[int, Field(ge=1)] = 100
    """The number of prompts per pass."""

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
    """Seed for the choice of prompts and for sampling. Only the first pass of a window samples with this very seed;
    later passes have seeds of their own, different in each replicate."""

    cpu_threads: Annotated[
        int | None,
        Field(ge=1),
        parameter(
            target="runtime",
            keyword="torch.set_num_threads",
            level="setup",
            library_default=LibraryChoice("one thread per physical core"),
            evidence="cpu_threads",
            test_values=(1, 2),
        ),
    ] = None
    """The number of threads per operation on the CPU."""

    pytorch: PyTorchSettings = PyTorchSettings.model_construct()
    """How the model is loaded and run."""

    decoder: DecoderSettings = DecoderSettings.model_construct()
    """How tokens are chosen."""

    dataset: DatasetSettings = DatasetSettings.model_construct()
    """The source of the prompts."""

    warmup: WarmupSettings = WarmupSettings.model_construct()
    """When the model counts as warm."""

    baseline: BaselineSettings = BaselineSettings.model_construct()
    """Power of the idle machine."""

    energy: EnergySettings = EnergySettings.model_construct()
    """The meters that are read."""

    passthrough_kwargs: PassthroughConfig = PassthroughConfig()
    """Keywords that have no setting here."""

    @model_validator(mode="before")
    @classmethod
    def _revisions_have_their_settings(cls, given: Any) -> Any:
        return split_revisions(given) if isinstance(given, Mapping) else given
