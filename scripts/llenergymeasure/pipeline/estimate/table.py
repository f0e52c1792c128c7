"""The table of an estimate, at most 100 columns wide. Each line says how sure its figure is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from llenergymeasure.config.problems.text import counted, first_few, printable, shortened
from llenergymeasure.pipeline.estimate.study_estimate import SessionEstimate, SetupMemory, StudyEstimate

WIDTH = 100
LABEL = 10
GUESS = "guess within a factor of 3"
GB = 1e9


def estimate_table(estimate: StudyEstimate) -> str:
    """Lines for a terminal."""
    head = f"{estimate.study}: an estimate of what is left to do; nothing here is measured"
    rows = [
        ("jobs", _jobs(estimate)),
        ("time", ("at most " if estimate.at_most else "") + _time(estimate.sessions)),
        ("energy", _energy(estimate.sessions)),
        *(("memory", text) for text in _memory(estimate.memory)),
        ("download", _download(estimate)),
        ("disk", _disk(estimate)),
        ("device", "; ".join(device.name for device in estimate.hardware)),
        *(("unknown", text) for text in _unknown(estimate)),
    ]
    return "\n".join([head, *(line for label, text in rows for line in _row(label, text))])


def _row(label: str, text: str) -> Iterator[str]:
    lines = textwrap.wrap(printable(text), WIDTH - LABEL, break_on_hyphens=False)
    for number, line in enumerate(lines):
        yield f"{label if number == 0 else '':{LABEL}}{line}"


def _jobs(estimate: StudyEstimate) -> str:
    at_most = "at most " if estimate.at_most else ""
    left = [f"{kind} {at_most if kind == 'measure' else ''}{count}" for kind, count in estimate.jobs.items() if count]
    return f"{', '.join(left)}, and those of the report" if left else "none: everything is measured"


def _time(sessions: Iterable[SessionEstimate]) -> str:
    known = [item for item in sessions if item.seconds is not None]
    unknown = [item for item in sessions if item.seconds is None]
    if not known:
        return "not known"
    seconds = sum(item.seconds or 0.0 for item in known)
    text = f"{_duration(seconds)} on one device at a time ({_sureness(known)})"
    return f"{text}, without {counted(len(unknown), 'session')} of unknown duration" if unknown else text


def _sureness(sessions: list[SessionEstimate]) -> str:
    calibrated = sum(item.calibrated for item in sessions)
    if calibrated == len(sessions):
        return "from this study's calibrations"
    if not calibrated:
        return GUESS
    return f"{calibrated} of {counted(len(sessions), 'session')} from calibrations, the others a {GUESS}"


def _energy(sessions: Iterable[SessionEstimate]) -> str:
    known = [(item.seconds, item.power_w) for item in sessions if item.seconds is not None]
    watts = [power for _, power in known if power is not None]
    if not known:
        return "not known, as the time"
    if len(watts) < len(known):
        return "not known: the device does not say how much power it may draw"
    joules = sum(seconds * (power or 0.0) for seconds, power in known)
    drawn = f"{min(watts):.0f} W" if min(watts) == max(watts) else f"{min(watts):.0f} to {max(watts):.0f} W"
    return f"{joules / 3.6e6:.3g} kWh, at {drawn} that the devices are assumed to draw ({GUESS})"


def _memory(setups: Sequence[SetupMemory]) -> Iterator[str]:
    known = [setup for setup in setups if setup.estimate is not None]
    if not known:
        stored = max((setup.stored_bytes or 0 for setup in setups), default=0)
        yield f"not known; the weights have {stored / GB:.3g} GB as they are stored" if stored else "not known"
        return
    setup = max(known, key=lambda item: item.estimate.total if item.estimate else 0)
    assert setup.estimate is not None
    low, high = setup.estimate.low / GB, setup.estimate.high / GB
    there = setup.there_bytes
    text = f"{setup.estimate.total / GB:.2g} GB for the largest setup (estimated, {low:.2g} to {high:.2g})"
    if there is None:
        yield f"{text}; how much {setup.device.name} has is not known"
        return
    verdict = "fits" if setup.estimate.high < there else "does not fit" if setup.estimate.low > there else "may not fit"
    yield f"{text}; {setup.device.name} has {there / GB:.3g} GB{'' if setup.device.is_gpu else ' free'}: {verdict}"


def _download(estimate: StudyEstimate) -> str:
    known = sum(model.download_bytes or 0 for model in estimate.models)
    unknown = [model.name for model in estimate.models if model.download_bytes is None]
    text = f"{known / GB:.2g} GB from hubs (file sizes in the lock)" if known else "nothing"
    return f"{text}, without {first_few(unknown)}" if unknown else text


def _disk(estimate: StudyEstimate) -> str:
    models = sum(model.disk_bytes or 0 for model in estimate.models)
    total = models + estimate.results_bytes
    free = estimate.free_bytes
    verdict = "fits" if total < free else "does not fit"
    return (
        f"{total / GB:.2g} GB: models {models / GB:.2g}, results {estimate.results_bytes / GB:.2g} (a guess); "
        f"{free / GB:.3g} GB are free: {verdict}"
    )


def _unknown(estimate: StudyEstimate) -> Iterator[str]:
    reasons = {f"{shortened(model.name, 50)}: {model.unknown}": None for model in estimate.models if model.unknown}
    reasons |= {item.unknown: None for item in estimate.sessions if item.unknown}
    reasons |= {item.estimate.unsure: None for item in estimate.memory if item.estimate and item.estimate.unsure}
    yield from (reason for reason in reasons if reason)
    if not any(device.is_gpu for device in estimate.hardware):
        yield "how this study runs on a GPU: none is here, so time, energy and memory are for this processor"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
