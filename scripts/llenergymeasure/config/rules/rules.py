"""Which settings fit together. Every rule has an id, a severity, the settings it looks at, and what would be right.

Most rules are relations that a parameter declares on its own field; the others stand below. They look at effective
values: a setting that is left out counts as the library's default, and a default that nobody chose breaks no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from llenergymeasure.config.devices import devices_named, single_device
from llenergymeasure.config.problems.catalogue import Check
from llenergymeasure.config.problems.problem import Problem, Severity, show
from llenergymeasure.config.rules.passthrough import passthrough_problems
from llenergymeasure.config.settings.experiment import ExperimentConfig
from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.settings.parameter import Parameter, Relation, same_as_any
from llenergymeasure.config.settings.protocol import BaselineConfig, EnergyConfig, WarmupConfig
from llenergymeasure.config.settings.pytorch import AUTOMATIC_MAPS, STATIC_CACHES
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import flatten, sections
from llenergymeasure.records.meters import read_at_intervals


class Values:
    """The settings of an experiment, or of one section: `given` as they are, called for what is in force."""

    __slots__ = ("_given",)

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def given(self, path: str) -> Any:
        return self._given.get(path)

    def __call__(self, path: str) -> Any:
        found = self._given.get(path)
        return _effective_defaults().get(path) if found is None else found


@dataclass(frozen=True)
class Rule(Check):
    """`find` gives what is wrong, or None. A rule is about the first of its `paths`, and only where that is set."""

    paths: tuple[str, ...]
    find: Callable[[Values], str | None]


class RuleViolation(ValueError):
    """Settings that don't fit together; the message has one clause a problem."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.render() for problem in problems))


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule: what the parameters declare, then the rules of this file."""
    declared = [
        _rule_of(parameter, relation) for parameter in parameters().values() for relation in parameter.relations
    ]
    return (*declared, *_OTHERS)


def check_rules(config: ExperimentConfig, *, without: frozenset[str] = frozenset()) -> list[Problem]:
    """Every violation and every warning of an experiment, but for rules that look at a path in `without`."""
    wanted = rules()
    if without:
        wanted = tuple(rule for rule in wanted if without.isdisjoint(rule.paths))
    return [*_violations(flatten(config), wanted), *passthrough_problems(config)]


def refuse_violations(model: BaseModel) -> None:
    """RuleViolation when an experiment, or one section on its own, breaks a rule of severity error."""
    if isinstance(model, ExperimentConfig):
        found = check_rules(model)
    else:
        name = next(name for name, section in sections().items() if isinstance(model, section))
        flat = {f"{name}.{key}": value for key, value in model.__dict__.items()}
        found = list(_violations(flat, _section_rules(name)))
    errors = [problem for problem in found if problem.severity == "error"]
    if errors:
        raise RuleViolation(errors)


@cache
def _section_rules(section: str) -> tuple[Rule, ...]:
    """The rules that look at one section only."""
    return tuple(rule for rule in rules() if all(path.startswith(f"{section}.") for path in rule.paths))


def _violations(flat: Mapping[str, Any], wanted: tuple[Rule, ...]) -> Iterator[Problem]:
    values = Values(flat)
    for rule in wanted:
        if flat.get(rule.paths[0]) is None:
            continue
        message = rule.find(values)
        if message is not None:
            yield rule.problem(rule.paths[0], message)


@cache
def _effective_defaults() -> Mapping[str, Any]:
    return {path: item.effective_default for path, item in parameters().items()}


def _rule_of(parameter: Parameter, relation: Relation) -> Rule:
    own, other = parameter.path, relation.other
    verb = "needs" if relation.kind == "needs" else "clashes with"

    def find(value: Values) -> str | None:
        mine, actual = value.given(own), value(other.path)
        if same_as_any(mine, relation.neutral) or other.holds(actual) is (relation.kind == "needs"):
            return None
        found = "" if relation.kind == "excludes" and other.test == "is" else f" and finds {show(actual)}"
        return f"{show(mine)} {verb} {other.text()}{found}: {relation.because}"

    says = f"`{own}` {verb} `{other.text()}`: {relation.because}"
    return Rule(relation.rule, relation.severity, says, relation.fix, (own, other.path), find)


_OTHERS: list[Rule] = []


def _rule(
    id: str, severity: Severity, *paths: str, says: str, fix: str
) -> Callable[[Callable[[Values], str | None]], None]:
    def register(find: Callable[[Values], str | None]) -> None:
        _OTHERS.append(Rule(id, severity, says, fix, paths, find))

    return register


@_rule(
    "processes-above-prompts",
    "error",
    "pytorch.num_processes",
    "n",
    says="`pytorch.num_processes` above `n`: a process would have no prompt",
    fix="raise n or lower pytorch.num_processes",
)
def _idle_processes(value: Values) -> str | None:
    processes, prompts = value.given("pytorch.num_processes"), value.given("n")
    return f"{processes} processes have only {prompts} prompts between them" if processes > prompts else None


@_rule(
    "quantization-4bit-library-defaults",
    "warning",
    "pytorch.load_in_4bit",
    "pytorch.bnb_4bit_quant_type",
    "pytorch.bnb_4bit_compute_dtype",
    says="4-bit weights without a number format or compute type: the library takes fp4 and float32",
    fix="set pytorch.bnb_4bit_quant_type and pytorch.bnb_4bit_compute_dtype if that is not what you want",
)
def _four_bit_defaults(value: Values) -> str | None:
    if not value.given("pytorch.load_in_4bit"):
        return None
    chosen = {"bnb_4bit_quant_type": "number format fp4", "bnb_4bit_compute_dtype": "compute type float32"}
    left = [text for name, text in chosen.items() if value.given(f"pytorch.{name}") is None]
    return f"4-bit weights get the library's {' and '.join(left)}" if left else None


@_rule(
    "max-memory-needs-automatic-map",
    "error",
    "pytorch.max_memory",
    "pytorch.device_map",
    says="`pytorch.max_memory` needs an automatic `pytorch.device_map`: a fixed placement ignores it",
    fix=f"set pytorch.device_map to one of {', '.join(AUTOMATIC_MAPS)}, or remove this",
)
def _memory_limits(value: Values) -> str | None:
    placement = value.given("pytorch.device_map")
    if placement is None or placement in AUTOMATIC_MAPS:
        return None
    return f"has no effect on the fixed placement pytorch.device_map: {show(placement)}"


@_rule(
    "devices-clash-with-map",
    "error",
    "pytorch.devices",
    "pytorch.device_map",
    "pytorch.max_memory",
    says="`pytorch.devices` beside a `pytorch.device_map` or `pytorch.max_memory` that names other devices",
    fix="remove pytorch.devices, or name devices below its number",
)
def _devices_and_map(value: Values) -> str | None:
    devices = value.given("pytorch.devices")
    placement = {name: value.given(f"pytorch.{name}") for name in ("device_map", "max_memory")}
    if single_device(placement["device_map"]) is not None:
        return f"clashes with the one device of pytorch.device_map: {show(placement['device_map'])}"
    beyond = sorted(number for number in devices_named(placement) if devices is not None and number >= devices)
    return f"gives the model GPUs 0 to {devices - 1}, and GPU {beyond[0]} is named" if beyond else None


@_rule(
    "sliding-window-deprecated",
    "warning",
    "pytorch.cache_implementation",
    says="`sliding_window` is deprecated in transformers and gives a static cache",
    fix="write static",
)
def _sliding_window(value: Values) -> str | None:
    chosen = value.given("pytorch.cache_implementation")
    return '"sliding_window" is deprecated; transformers runs a StaticCache' if chosen == "sliding_window" else None


@_rule(
    "static-cache-batch",
    "warning",
    "pytorch.cache_implementation",
    "pytorch.batch_size",
    says="a static cache and batches of prompts of different lengths: every prompt is padded to the longest",
    fix="compare padded_tokens, or use prompts of one length (dataset.source: synthetic)",
)
def _static_batches(value: Values) -> str | None:
    chosen, batch_size = value.given("pytorch.cache_implementation"), value("pytorch.batch_size")
    if chosen not in STATIC_CACHES or batch_size == 1 or value.given("dataset.source") == "synthetic":
        return None
    return f"a static cache has one length for all {batch_size} prompts of a batch; each new length is a new cache"


@_rule(
    "flash-attention-needs-half-precision",
    "error",
    "pytorch.attn_implementation",
    "precision",
    says="flash attention kernels need `precision: fp16` or `bf16`",
    fix="set precision: bf16 or fp16, or another pytorch.attn_implementation",
)
def _flash_attention(value: Values) -> str | None:
    chosen = value.given("pytorch.attn_implementation")
    if not chosen.startswith("flash") or value.given("precision") != "fp32":
        return None
    return f"{show(chosen)} has no kernel for precision: fp32"


@_rule(
    "batch-larger-than-n",
    "warning",
    "pytorch.batch_size",
    "n",
    says="`pytorch.batch_size` above `n`: no batch is ever full",
    fix="raise n or lower pytorch.batch_size",
)
def _never_full(value: Values) -> str | None:
    batch_size, prompts = value.given("pytorch.batch_size"), value.given("n")
    return f"{batch_size}, but with n: {prompts} no batch is ever full" if batch_size > prompts else None


@_rule(
    "temperature-zero-sampling",
    "error",
    "decoder.temperature",
    "decoder.do_sample",
    says="`decoder.temperature: 0` with sampling: transformers refuses it",
    fix="set decoder.do_sample: false for greedy decoding",
)
def _zero_sampling(value: Values) -> str | None:
    zero = value.given("decoder.temperature") == 0 and value.given("decoder.do_sample")
    return "is 0 while tokens are sampled, which transformers refuses" if zero else None


@_rule(
    "temperature-zero-greedy",
    "warning",
    "decoder.temperature",
    "decoder.do_sample",
    says="`decoder.temperature: 0` in greedy decoding adds nothing and is not passed on",
    fix="decoder.do_sample: false alone says it",
)
def _zero_greedy(value: Values) -> str | None:
    zero = value.given("decoder.temperature") == 0 and not value.given("decoder.do_sample")
    return "0 adds nothing to greedy decoding and is not passed on" if zero else None


@_rule(
    "min-tokens-above-max",
    "error",
    "decoder.min_new_tokens",
    "max_output_tokens",
    says="`decoder.min_new_tokens` above `max_output_tokens`",
    fix="raise max_output_tokens or lower decoder.min_new_tokens",
)
def _least_above_most(value: Values) -> str | None:
    least, most = value.given("decoder.min_new_tokens"), value.given("max_output_tokens")
    return f"{least} is more than max_output_tokens: {most}" if least > most else None


@_rule(
    "min-tokens-fixed-output",
    "error",
    "decoder.min_new_tokens",
    "fixed_output",
    "max_output_tokens",
    says="`decoder.min_new_tokens` with `fixed_output`, which sets the least length to `max_output_tokens`",
    fix="set fixed_output: false or remove decoder.min_new_tokens",
)
def _least_of_fixed(value: Values) -> str | None:
    least, most = value.given("decoder.min_new_tokens"), value.given("max_output_tokens")
    if not value.given("fixed_output") or least >= most:
        return None
    return f"{least} is overridden by fixed_output, which makes every output {most} tokens long"


def _needs_revisions(revision: str, model: str, rule: str) -> None:
    @_rule(
        rule,
        "error",
        revision,
        model,
        says=f"`{revision}` of a folder or random model, which have no revisions",
        fix=f"remove {revision}",
    )
    def find(value: Values) -> str | None:
        name = value.given(model)
        kind = parse_model_ref(name).kind if name is not None else "hub"
        return f"a {kind} model has no revisions" if kind in ("folder", "random") else None


_needs_revisions("pytorch.revision", "model", "revision-needs-revisions")
_needs_revisions("pytorch.assistant_revision", "pytorch.assistant_model", "assistant-revision-needs-revisions")
_needs_revisions("pytorch.adapter_revision", "pytorch.adapter", "adapter-revision-needs-revisions")


@_rule(
    "remote-code-needs-code",
    "warning",
    "pytorch.trust_remote_code",
    "model",
    says="`pytorch.trust_remote_code: true` for a package or random model, which bring no code",
    fix="remove pytorch.trust_remote_code",
)
def _remote_code(value: Values) -> str | None:
    if not value.given("pytorch.trust_remote_code"):
        return None
    kind = parse_model_ref(value.given("model")).kind
    return f"a {kind} model brings no code to trust" if kind in ("package", "random") else None


_DATASET_KEYS = {
    "builtin": ((), ("kinds", "chat_template")),
    "file": (("path", "column"), ("path", "column", "chat_template")),
    "synthetic": (("tokens",), ("tokens",)),
    "hub": (("name", "revision", "path", "column"), ("name", "revision", "path", "column", "chat_template")),
}


@_rule(
    "dataset-key-missing",
    "error",
    "dataset.source",
    *(f"dataset.{name}" for name in ("path", "column", "tokens", "name", "revision")),
    says="a dataset source without the keys it needs (file: path, column; synthetic: tokens; "
    "hub: name, revision, path, column)",
    fix="add them under dataset",
)
def _dataset_missing(value: Values) -> str | None:
    source = value.given("dataset.source")
    missing = [name for name in _DATASET_KEYS[source][0] if value.given(f"dataset.{name}") is None]
    return f"{show(source)} needs {' and '.join(missing)}" if missing else None


@_rule(
    "dataset-key-unused",
    "error",
    "dataset.source",
    *(f"dataset.{name}" for name in ("path", "column", "tokens", "name", "revision", "kinds", "chat_template")),
    says="a dataset key that the source does not read",
    fix="remove it or change dataset.source",
)
def _dataset_unused(value: Values) -> str | None:
    source = value.given("dataset.source")
    names = ("path", "column", "tokens", "name", "revision", "kinds")
    unused = [
        name for name in names if name not in _DATASET_KEYS[source][1] and value.given(f"dataset.{name}") is not None
    ]
    return f"{show(source)} does not read {' and '.join(unused)}" if unused else None


@_rule(
    "synthetic-longer-than-input",
    "error",
    "dataset.tokens",
    "max_input_tokens",
    says="`dataset.tokens` above `max_input_tokens`: the prompts would be cut",
    fix="raise max_input_tokens or lower dataset.tokens",
)
def _synthetic_length(value: Values) -> str | None:
    tokens, most = value.given("dataset.tokens"), value.given("max_input_tokens")
    return f"{tokens} is more than max_input_tokens: {most}" if tokens > most else None


@_rule(
    "warmup-window-above-passes",
    "error",
    "warmup.cv_window",
    "warmup.max_passes",
    "warmup.passes",
    says="`warmup.cv_window` above `warmup.max_passes`: stability could never be judged",
    fix="raise warmup.max_passes or lower warmup.cv_window",
)
def _warmup_window(value: Values) -> str | None:
    window, most = value.given("warmup.cv_window"), value.given("warmup.max_passes")
    if value.given("warmup.passes") is not None or window <= most:
        return None
    return f"{window} passes are never reached with warmup.max_passes: {most}"


FLATNESS = ("cv_threshold", "cv_window", "max_passes", "temperature_drift_c", "temperature_window_s")


@_rule(
    "warmup-fixed-passes",
    "warning",
    "warmup.passes",
    "warmup.cv_threshold",
    "warmup.cv_window",
    "warmup.max_passes",
    "warmup.temperature_drift_c",
    "warmup.temperature_window_s",
    says="a fixed number of warm-up passes: the settings of the stability test have no effect",
    fix="remove them, or remove warmup.passes",
)
def _fixed_warmup(value: Values) -> str | None:
    unused = _changed(value, "warmup", WarmupConfig, FLATNESS)
    return f"a fixed number of passes leaves {' and '.join(unused)} without effect" if unused else None


@_rule(
    "baseline-off",
    "warning",
    "baseline.enabled",
    "baseline.duration_s",
    says="`baseline.duration_s` without a baseline",
    fix="set baseline.enabled: true or remove baseline.duration_s",
)
def _baseline_off(value: Values) -> str | None:
    off = value.given("baseline.enabled") is False
    unused = off and _changed(value, "baseline", BaselineConfig, ("duration_s",))
    return "false leaves baseline.duration_s without effect" if unused else None


@_rule(
    "meters-repeated",
    "error",
    "energy.meters",
    says="a meter named twice",
    fix="name each meter once",
)
def _meters_repeated(value: Values) -> str | None:
    meters = value.given("energy.meters")
    return f"{show(meters)} names a meter twice" if len(set(meters)) < len(meters) else None


@_rule(
    "meter-setting-unused",
    "warning",
    "energy.meters",
    "energy.power_interval_s",
    says="a setting of a meter that is not read",
    fix="name the meter, or remove the setting",
)
def _meter_settings(value: Values) -> str | None:
    meters = value.given("energy.meters")
    if set(read_at_intervals()) & set(meters) or not _changed(value, "energy", EnergyConfig, ("power_interval_s",)):
        return None
    return f"{show(meters)} leaves power_interval_s ({', '.join(read_at_intervals())}) without effect"


def _changed(value: Values, section: str, model: type[BaseModel], names: tuple[str, ...]) -> list[str]:
    """Which of the settings differ from their default."""
    return [name for name in names if value.given(f"{section}.{name}") != model.model_fields[name].default]
