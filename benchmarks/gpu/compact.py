"""A figure of the acceptance in one short line, for the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Units of a throttling counter, by its gain in one second in which its reason holds all the time.
UNITS = {"ns": 1e9, "µs": 1e6}


def compact(value: Any) -> str:
    """Mappings as `name value, ...`, sequences as `a, b`, floats with five digits; an empty one as `none`."""
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.5g}"
        case None:
            return "-"
        case Mapping():
            return ", ".join(f"{name} {_inner(item)}" for name, item in value.items()) or "none"
        case list():
            return ", ".join(map(_inner, value)) or "none"
    return str(value)


def _inner(value: Any) -> str:
    return f"({compact(value)})" if isinstance(value, Mapping | list) else compact(value)


def jobs(value: Sequence[Mapping[str, Any]]) -> str:
    """Snakemake's jobs with their seconds."""
    return ", ".join(f"{job['rule']} {job['seconds']:.1f}" for job in value) or "none"


def held_down(value: Mapping[str, Any]) -> str:
    """The reasons that held the clocks down: seconds per second by the counter, in its likelier unit, and the share of
    samples.
    """
    if "refused" in value:
        return compact(value)
    held = {name: figures for name, figures in value.items() if figures["counter_per_s"] or figures["share_of_samples"]}
    return "; ".join(f"{name} {_by_counter(**figures)}" for name, figures in held.items()) or "nothing"


def _by_counter(counter_per_s: float | None, share_of_samples: float) -> str:
    samples = f"{share_of_samples:.3f} of samples"
    if counter_per_s is None:
        return f"- by counter, {samples}"
    unit = min(UNITS, key=lambda name: abs(counter_per_s / UNITS[name] - share_of_samples))
    return f"{counter_per_s / UNITS[unit]:.3f} s/s by counter ({unit}), {samples}"
