"""The registry of probes, and the walk over all parameters of an experiment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.parameters import parameters, requested

if TYPE_CHECKING:
    from llenergymeasure.engine.evidence.observe import Observation


@dataclass(frozen=True)
class Finding:
    """What a probe saw. `agrees` is None where the effect can't be seen; `observed` then says why."""

    effective: Any
    observed: str
    agrees: bool | None


Probe = Callable[["Observation", Any], Finding]
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

    `default` is a parameter nobody set: the effective value is recorded all the same. `ignored` is one that was set
    and did not take effect.
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
    return block


def _verdict(value: Any, finding: Finding) -> str:
    if value is None:
        return "default"
    if finding.agrees is None:
        return "unverifiable"
    return "applied" if finding.agrees else "ignored"
