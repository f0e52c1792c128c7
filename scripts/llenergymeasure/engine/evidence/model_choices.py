"""What the model's own files decided, since the study does not set it: evidence shows it, and warnings report it."""

from __future__ import annotations

from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import PASSTHROUGH
from llenergymeasure.engine.evidence.observe import Observation
from llenergymeasure.engine.generation.keywords import eos_token_ids, generate_keywords
from llenergymeasure.engine.generation.model_defaults import LIBRARY_ATTENTION, ModelChoice, choices, draft_choices
from llenergymeasure.records.finding import warning

CODE = "model-setting"
# Fields that a study sets under another name.
_OTHER_NAMES = {"min_length": "decoder.min_new_tokens", "disable_compile": "pytorch.torch_compile"}


def observed_choices(config: ExperimentConfig, observation: Observation) -> list[ModelChoice]:
    """The fields that this experiment took from the files of model and draft model; none before it generated."""
    if observation.generation_config is None:
        return []
    study = generate_keywords(config, pad_token_id=0)
    continuous = config.pytorch.batching == "continuous"
    defaults = observation.loaded.defaults
    fields = choices(defaults, observation.generation_config, study, continuous=continuous)
    if defaults.attention is not None and config.pytorch.attn_implementation is None:
        fields.append(ModelChoice(*defaults.attention, "the model's config.json"))
    drafter = observation.loaded.assistant_defaults
    return fields if drafter is None else [*fields, *draft_choices(drafter)]


def choice_warnings(config: ExperimentConfig, observation: Observation) -> list[dict[str, str]]:
    """One warning per field, with the key of the study that overrides it; one more where no end token ends outputs."""
    warnings = [
        warning(CODE, f"{item.file} sets {item.name} = {show(item.value)}, {_way_out(item)}")
        for item in observed_choices(config, observation)
    ]
    endless = None if observation.generation_config is None else _endless(config, observation)
    return warnings if endless is None else [*warnings, warning("end-token", endless)]


def _endless(config: ExperimentConfig, observation: Observation) -> str | None:
    """A warning where outputs should end by themselves and the tokenizer's end token does not end them."""
    study = generate_keywords(config, pad_token_id=0)
    if config.fixed_output or "eos_token_id" in study:
        return None
    tokenizer = observation.loaded.tokenizer
    own = tokenizer.eos_token_id
    known = None if own is None else f"the tokenizer's end token {tokenizer.eos_token!r} (id {own})"
    ends = sorted(eos_token_ids(observation.model, study, fixed_output=False))
    if ends and (own is None or own in ends):
        return None
    way_out = f"set {PASSTHROUGH}.generate.eos_token_id, or fixed_output: true"
    if not ends:
        config_token = "" if known is None else f" ({known} is in no configuration of generation)"
        return f"the model's files set no end token{config_token}, so outputs run to max_output_tokens; {way_out}"
    in_force = ", ".join(map(str, ends))
    return f"{known} does not end an output: the model's files set eos_token_id = {in_force}; {way_out}"


def with_choices(
    block: dict[str, dict[str, Any]], config: ExperimentConfig, observation: Observation
) -> dict[str, dict[str, Any]]:
    """The evidence, with the file named wherever it decided: in the parameter's entry, else in an entry of its own."""
    marked = dict(block)
    for item in observed_choices(config, observation):
        path = _declared().get(item.name)
        if path in marked:
            origin = f"set by {item.file}: {item.name} = {show(item.value)}"
            entry = marked[path]
            effective = item.value if entry["effective"] is None else entry["effective"]
            marked[path] = {**entry, "effective": effective, "observed": f"{origin}; {entry['observed']}"}
        else:
            marked[f"{item.file.rpartition(' ')[2]}: {item.name}"] = {
                "requested": None,
                "effective": item.value,
                "observed": f"set by {item.file}, {_way_out(item)}",
                "verdict": "default",
            }
    return marked


def _way_out(item: ModelChoice) -> str:
    key = _key(item)
    if key is None:
        return "and no setting of a study overrides it"
    return f"and the study does not; set {key} to override it"


def _key(item: ModelChoice) -> str | None:
    """The key of a study that decides the field; None for what is only read from the file."""
    if item.of_draft or item.name == LIBRARY_ATTENTION:
        return None
    return _declared().get(item.name) or _OTHER_NAMES.get(item.name) or f"{PASSTHROUGH}.generate.{item.name}"


def _declared() -> dict[str, str]:
    """Field of a model's files → the parameter that sets it."""
    by_keyword = {entry.keyword: path for path, entry in parameters().items() if entry.target == "generate"}
    return {**by_keyword, **dict.fromkeys((LIBRARY_ATTENTION, "attn_implementation"), "pytorch.attn_implementation")}
