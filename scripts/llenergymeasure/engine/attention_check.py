"""Ask the installed library about a kind of attention before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import transformers
from transformers.integrations.hub_kernels import is_kernel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING
from transformers.utils.import_utils import KERNELS_MAX_VERSION, KERNELS_MIN_VERSION, is_kernels_available

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.problems.catalogue import LIBRARY_REFUSES, REQUIREMENT_UNMET
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.problems.text import did_you_mean

PATH = "pytorch.attn_implementation"
# Part of a name → the attribute with which a class of the library says that it has that kind.
_SUPPORTED = {"sdpa": "_supports_sdpa", "flex": "_supports_flex_attn", "flash": "_supports_flash_attn"}


def attention_problems(config: ExperimentConfig) -> Iterator[Problem]:
    """A name that the library does not have, or a kernel of the hub without the package that loads it."""
    asked = config.pytorch.attn_implementation
    if asked is None:
        return
    if is_kernel(asked):
        if not is_kernels_available():
            wanted = f"the package kernels ({KERNELS_MIN_VERSION} or newer, older than {KERNELS_MAX_VERSION})"
            yield REQUIREMENT_UNMET.problem(PATH, f"{asked}: needs {wanted}, which is not installed here")
        return
    if "flex" in asked and config.pytorch.batching == "continuous":
        message = f"{asked} cannot read the paged cache of pytorch.batching: continuous"
        yield LIBRARY_REFUSES.problem(PATH, message, "choose sdpa or paged|eager, or another pytorch.batching")
        return
    known = ["eager", *ALL_ATTENTION_FUNCTIONS.valid_keys()]
    if asked not in known and asked.removeprefix("paged|") not in known:
        yield LIBRARY_REFUSES.problem(
            PATH,
            f"is {asked!r}; transformers {transformers.__version__} has {', '.join(known)}",
            did_you_mean(asked, known),
        )


def class_problems(config: ExperimentConfig, model_config: Any) -> Iterator[Problem]:
    """A kind of attention that the model's class does not have. model_config: the library's configuration"""
    asked = config.pytorch.attn_implementation or ""
    if type(model_config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return
    kind = MODEL_FOR_CAUSAL_LM_MAPPING[type(model_config)]
    for part, attribute in _SUPPORTED.items():
        if part in asked and not getattr(kind, attribute, True):
            yield LIBRARY_REFUSES.problem(PATH, f"{kind.__name__} has no {asked}", "choose another one, such as eager")
