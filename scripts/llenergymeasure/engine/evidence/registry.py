"""The registry of probes, and the walk over all parameters of an experiment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.settings.parameter import Level
from llenergymeasure.config.settings.registry import parameters, requested
from llenergymeasure.config.settings.setting_paths import PASSTHROUGH
from llenergymeasure.engine.evidence.checkpoint_weights import quantization_evidence
from llenergymeasure.engine.evidence.model_choices import with_choices
from llenergymeasure.engine.generation.model_defaults import NOT_CONTINUOUS
from llenergymeasure.engine.plain import plain

if TYPE_CHECKING:
    from llenergymeasure.engine.evidence.observe import Observation


@dataclass(frozen=True)
class ProbeResult:
    """What a probe saw. `agrees` is None where the effect cannot be seen; `observed` then says why."""

    effective: Any
    observed: str
    agrees: bool | None


Probe = Callable[["Observation", Any], ProbeResult]
PROBES: dict[str, Probe] = {}


def probe(*names: str) -> Callable[[Probe], Probe]:
    """Register a probe under the names that parameter declarations use."""

    def register(function: Probe) -> Probe:
        for name in names:
            PROBES[name] = function
        return function

    return register


def collect(
    config: ExperimentConfig, observation: Observation, *, level: Level | None = None
) -> dict[str, dict[str, Any]]:
    """Evidence for every declared parameter (of one level, if given): dotted path → requested … verdict.

    Verdict `default`: the parameter is not set; the effective value is recorded anyway. Verdict `ignored`: the
    parameter is set and did not take effect.
    """
    wanted = requested(config)
    observation.look_at_weights()
    block = {}
    for path, parameter in parameters().items():
        if level is not None and parameter.level != level:
            continue
        value = wanted.get(path)
        finding = PROBES[parameter.evidence](observation, value)
        block[path] = {
            "requested": value,
            "effective": finding.effective,
            "observed": finding.observed,
            "verdict": _verdict(value, finding),
        }
    if level is None:
        block |= passed_through(config, observation)
    evidence = with_choices(block, config, observation) | dict(quantization_evidence(observation))
    return {path: plain(entry) for path, entry in evidence.items()}


def passed_through(config: ExperimentConfig, observation: Observation) -> dict[str, dict[str, Any]]:
    """Evidence for `passthrough_kwargs`: which call took the keyword, and the value it holds afterwards.

    No probe knows what such a keyword should do, so the best verdict is `unverifiable`. A keyword that generation does
    not hold is `ignored`.
    """
    block = {}
    for target, options in config.passthrough_kwargs.__dict__.items():
        for name, value in options.items():
            effective, where = _held(target, name, value, observation)
            lost = plain(effective) != plain(value)
            block[f"{PASSTHROUGH}.{target}.{name}"] = {
                "requested": value,
                "effective": effective,
                "observed": f"{where}; no probe checks its effect there",
                "verdict": "ignored" if lost else "unverifiable",
            }
    return block


def _held(target: str, name: str, value: Any, observation: Observation) -> tuple[Any, str]:
    if (
        target == "generate"
        and name in NOT_CONTINUOUS
        and observation.generated
        and observation.generated.method == "generate_batch"
    ):
        return None, "generate_batch does not read it"
    if (
        target == "generate"
        and observation.generation_config is not None
        and hasattr(observation.generation_config, name)
    ):
        return getattr(observation.generation_config, name), f"accepted by generate, whose configuration held {name}"
    if target == "bitsandbytes":
        held = getattr(observation.model.config, "quantization_config", None)
        option = getattr(held, name, value)
        # The library turns the name of a type into the type.
        return value if str(option).removeprefix("torch.") == str(value) else option, "accepted by BitsAndBytesConfig"
    if target in ("from_pretrained", "compile"):
        # What the call received; it raised no objection, or there would be no run.
        given = observation.loaded.load_keywords if target == "from_pretrained" else observation.loaded.compile_keywords
        return (given or {}).get(name), f"accepted by {'model.compile' if target == 'compile' else target}"
    if target == "continuous_batching" and observation.generated is not None:
        return getattr(observation.generated.scheduler_options, name, None), "accepted by ContinuousBatchingConfig"
    return value, f"accepted by {target}"


def worst_evidence(blocks: Sequence[Mapping[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Merge the evidence of several processes: for each parameter the entry of the process with the worst verdict."""
    first, *others = blocks
    merged = dict(first)
    for rank, block in enumerate(others, start=1):
        for path, entry in block.items():
            if _BADNESS[entry["verdict"]] > _BADNESS[merged[path]["verdict"]]:
                merged[path] = {**entry, "observed": f"process {rank}: {entry['observed']}"}
    return merged


_BADNESS = {"default": 0, "applied": 0, "unverifiable": 1, "ignored": 2}


def _verdict(value: Any, finding: ProbeResult) -> str:
    if value is None:
        return "default"
    if finding.agrees is None:
        return "unverifiable"
    return "applied" if finding.agrees else "ignored"
