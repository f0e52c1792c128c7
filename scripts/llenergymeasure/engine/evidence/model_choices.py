"""What the model's own files decided, since the study does not set it: shown in the evidence, and said as warnings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.errors import show
from llenergymeasure.config.parameters import parameters
from llenergymeasure.config.paths import PASSTHROUGH
from llenergymeasure.engine.evidence.observe import Observation
from llenergymeasure.engine.keywords import generate_keywords
from llenergymeasure.engine.model_defaults import ModelChoice, choices, draft_choices

CODE = "model-setting"
# Fields that a study sets under another name.
_OTHER_NAMES = {"min_length": "decoder.min_new_tokens", "disable_compile": "pytorch.torch_compile"}


def choices_of(config: ExperimentConfig, seen: Observation) -> list[ModelChoice]:
    """The fields of the files of model and draft model that this experiment ran with; none before it generated."""
    if seen.generation_config is None:
        return []
    study = generate_keywords(config, pad_token_id=0)
    continuous = config.pytorch.batching == "continuous"
    found = choices(seen.loaded.defaults, seen.generation_config, study, continuous=continuous)
    drafter = seen.loaded.assistant_defaults
    return found if drafter is None else [*found, *draft_choices(drafter)]


def choice_warnings(config: ExperimentConfig, seen: Observation) -> list[dict[str, str]]:
    """A warning per field, with the key of the study that would override it."""
    return [
        {"code": CODE, "message": f"{item.file} sets {item.name} = {show(item.value)}, {_way_out(item)}"}
        for item in choices_of(config, seen)
    ]


def with_choices(
    block: dict[str, dict[str, Any]], config: ExperimentConfig, seen: Observation
) -> dict[str, dict[str, Any]]:
    """The evidence, with the file named wherever it decided: in the parameter's entry, else in one of its own."""
    marked = dict(block)
    for item in choices_of(config, seen):
        path = _declared().get(item.name)
        if path in marked:
            told = f"set by {item.file}: {item.name} = {show(item.value)}"
            entry = marked[path]
            effective = item.value if entry["effective"] is None else entry["effective"]
            marked[path] = {**entry, "effective": effective, "observed": f"{told}; {entry['observed']}"}
        else:
            marked[f"{item.file.rpartition(' ')[2]}: {item.name}"] = {
                "requested": None,
                "effective": item.value,
                "observed": f"set by {item.file}, {_way_out(item)}",
                "verdict": "default",
            }
    return marked


def quantization_evidence(seen: Observation) -> Iterator[tuple[str, dict[str, Any]]]:
    """An entry for the quantization that the checkpoint brings along, if it does."""
    found = seen.loaded.checkpoint_quantization
    if found is not None:
        observed = (
            "the library dequantized the weights while loading"
            if found.dequantized
            else f"the library's quantizer {type(seen.model.hf_quantizer).__name__} loaded the weights"
        )
        yield (
            "config.json: quantization_config",
            {
                "requested": None,
                "effective": f"{found.method}, dequantized" if found.dequantized else found.method,
                "observed": f"set by the model's config.json: {found.method}; {observed}",
                "verdict": "default",
            },
        )


def _way_out(item: ModelChoice) -> str:
    key = _key(item)
    if key is None:
        return "and no setting of a study overrides it"
    return f"and the study does not; set {key} to override it"


def _key(item: ModelChoice) -> str | None:
    """The key of a study that decides the field; None for what is only read from a draft model's file."""
    if item.of_draft:
        return None
    return _declared().get(item.name) or _OTHER_NAMES.get(item.name) or f"{PASSTHROUGH}.generate.{item.name}"


def _declared() -> dict[str, str]:
    """Field of the `GenerationConfig` → the parameter that sets it."""
    return {entry.keyword: path for path, entry in parameters().items() if entry.target == "generate"}
