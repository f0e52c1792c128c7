"""How an experiment is measured: warm-up, idle baseline, meters."""

from __future__ import annotations

from pydantic import BaseModel

from llenergymeasure.config.problems.text import show
from llenergymeasure.config.rules.relations import Values, rule, rules_among
from llenergymeasure.config.settings.protocol import BaselineSettings, EnergySettings, WarmupSettings
from llenergymeasure.records.meters import read_at_intervals


@rule(
    "warmup-window-above-passes",
    "error",
    "warmup.cv_window",
    "warmup.max_passes",
    "warmup.passes",
    says="`warmup.cv_window` above `warmup.max_passes`: stability can never be judged",
    fix="raise warmup.max_passes or lower warmup.cv_window",
)
def warmup_window(value: Values) -> str | None:
    window, most = value.given("warmup.cv_window"), value.given("warmup.max_passes")
    if value.given("warmup.passes") is not None or window <= most:
        return None
    return f"warmup.max_passes: {most} ends the warm-up before {window} passes"


@rule(
    "warmup-timeout-below-window",
    "warning",
    "warmup.temperature_timeout_s",
    "warmup.temperature_window_s",
    "warmup.passes",
    says="`warmup.temperature_timeout_s` below `warmup.temperature_window_s`: no temperature is ever found stable",
    fix="raise warmup.temperature_timeout_s or lower warmup.temperature_window_s",
)
def warmup_timeout(value: Values) -> str | None:
    window_s, timeout_s = value.given("warmup.temperature_window_s"), value.given("warmup.temperature_timeout_s")
    if value.given("warmup.passes") is not None or timeout_s >= window_s:
        return None
    return (
        f"{timeout_s:g} s of waiting hold no window of {window_s:g} s; where a device reports its temperature, every "
        "result is suspect (warmup-not-stable)"
    )


FLATNESS = ("cv_threshold", "cv_window", "max_passes", "temperature_drift_c", "temperature_window_s")


@rule(
    "warmup-fixed-passes",
    "warning",
    "warmup.passes",
    "warmup.cv_threshold",
    "warmup.cv_window",
    "warmup.max_passes",
    "warmup.temperature_drift_c",
    "warmup.temperature_window_s",
    says="a fixed number of warm-up passes with settings of the stability test, which then have no effect",
    fix="remove them, or remove warmup.passes",
)
def fixed_warmup(value: Values) -> str | None:
    unused = _changed(value, "warmup", WarmupSettings, FLATNESS)
    return f"with a fixed number of passes, nothing reads {' and '.join(unused)}" if unused else None


@rule(
    "baseline-off",
    "warning",
    "baseline.enabled",
    "baseline.duration_s",
    says="`baseline.duration_s` without an idle baseline",
    fix="set baseline.enabled: true or remove baseline.duration_s",
)
def baseline_off(value: Values) -> str | None:
    off = value.given("baseline.enabled") is False
    unused = off and _changed(value, "baseline", BaselineSettings, ("duration_s",))
    return "with false, nothing reads baseline.duration_s" if unused else None


@rule(
    "meters-repeated",
    "error",
    "energy.meters",
    says="a meter that is named twice",
    fix="name each meter once",
)
def meters_repeated(value: Values) -> str | None:
    meters = value.given("energy.meters")
    return f"{show(meters)} names a meter twice" if len(set(meters)) < len(meters) else None


@rule(
    "meter-setting-unused",
    "warning",
    "energy.meters",
    "energy.power_interval_s",
    says="a setting of meters that are not read",
    fix="name one of its meters, or remove the setting",
)
def meter_settings(value: Values) -> str | None:
    meters = value.given("energy.meters")
    readers = read_at_intervals()
    if set(readers) & set(meters) or not _changed(value, "energy", EnergySettings, ("power_interval_s",)):
        return None
    return f"with {show(meters)}, nothing reads energy.power_interval_s ({', '.join(readers)})"


def _changed(value: Values, section: str, model: type[BaseModel], names: tuple[str, ...]) -> list[str]:
    """Which of the settings differ from their default."""
    return [name for name in names if value.given(f"{section}.{name}") != model.model_fields[name].default]


RULES = rules_among(globals())
