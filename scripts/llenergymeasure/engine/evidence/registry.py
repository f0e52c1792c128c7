"""The registry of probes, and the walk over all parameters of an experiment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.settings.registry import parameters, requested
from llenergymeasure.config.settings.setting_paths import PASSTHROUGH
from llenergymeasure.engine.evidence.model_choices import quantization_evidence, with_choices
from llenergymeasure.engine.generation.model_defaults import NOT_CONTINUOUS
from llenergymeasure.engine.plain import plain

if TYPE_CHECKING:
    from llenergymeasure.engine.evidence.observe import Observation


@dataclass(frozen=True)
class ProbeResult:
    """What a probe saw. `agrees` is None where the effect can't be seen; `observed` then says why."""

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


def collect(config: ExperimentConfig, seen: Observation, *, level: str | None = None) -> dict[str, dict[str, Any]]:
    """Evidence for every declared parameter (of one level, if given): dotted path → requested … verdict.

    `default` is a parameter that is not set: the effective value is recorded all the same. `ignored` is one that was
    set and did not take effect.
    """
    wanted = requested(config)
    block = {}
    for path, parameter in parameters().items():
        if level is not None and parameter.level != level:
            continue
        value = wanted.get(path)
        finding = PROBES[parameter.evidence](seen, value)
        block[path] = {
            "requested": value,
            "effective": finding.effective,
            "observed": finding.observed,
            "verdict": _verdict(value, finding),
        }
    if level is None:
        block |= passed_through(config, seen)
    found = with_choices(block, config, seen) | dict(quantization_evidence(seen))
    return {path: plain(entry) for path, entry in found.items()}


def passed_through(config: ExperimentConfig, seen: Observation) -> dict[str, dict[str, Any]]:
    """Evidence for `passthrough_kwargs`: which call took the keyword, and the value it holds afterwards.

    No probe knows what such a keyword should do, so the best verdict is `unverifiable`. One that generation does not
    hold is `ignored`.
    """
    block = {}
    for target, options in config.passthrough_kwargs.__dict__.items():
        for name, value in options.items():
            effective, where = _held(target, name, value, seen)
            lost = plain(effective) != plain(value)
            block[f"{PASSTHROUGH}.{target}.{name}"] = {
                "requested": value,
                "effective": effective,
                "observed": f"{where}; what it does there is not looked at",
                "verdict": "ignored" if lost else "unverifiable",
            }
    return block


def _held(target: str, name: str, value: Any, seen: Observation) -> tuple[Any, str]:
    if target == "generate" and name in NOT_CONTINUOUS and seen.generated and seen.generated.method == "generate_batch":
        return None, "generate_batch does not read it"
    if target == "generate" and seen.generation_config is not None and hasattr(seen.generation_config, name):
        return getattr(seen.generation_config, name), f"accepted by generate, whose configuration held {name}"
    if target == "bitsandbytes":
        held = getattr(seen.model.config, "quantization_config", None)
        found = getattr(held, name, value)
        # The library turns the name of a type into the type.
        return value if str(found).removeprefix("torch.") == str(value) else found, "accepted by BitsAndBytesConfig"
    if target in ("from_pretrained", "compile"):
        # What the call was really given; it raised no objection, or there would be no run.
        given = seen.loaded.load_keywords if target == "from_pretrained" else seen.loaded.compile_keywords
        return (given or {}).get(name), f"accepted by {'model.compile' if target == 'compile' else target}"
    if target == "continuous_batching" and seen.generated is not None:
        return getattr(seen.generated.scheduler_options, name, None), "accepted by ContinuousBatchingConfig"
    return value, f"accepted by {target}"


def worst_of(blocks: Sequence[Mapping[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The evidence of several processes as one: for each parameter the entry of the process with the worst verdict."""
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
