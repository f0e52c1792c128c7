"""The limits that a board must meet, and whether it did: a table over the figures of the parts.

A figure above its limit still passes, as `handled`, where another figure proves that the pipeline copes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.gpu.child import ERROR, NOT_HERE
from benchmarks.gpu.records import COUNTER, EXPECTED
from benchmarks.gpu.schedule import NOT_ASKED

PASS, HANDLED, FAIL, UNKNOWN, ABSENT = "pass", "handled", "fail", "unknown", "not on this machine"
# A sampler that costs more than this slows the work beside it noticeably.
SAMPLER_COST = 1.01
# The finding of a record in whose window a CUDA graph was recorded.
GRAPH_IN_WINDOW = "graphs-recorded-in-window"

Parts = Mapping[str, Any]


class NoFigure(Exception):
    """The parts hold no such figure; the message says why."""


class NotAsked(NoFigure):
    """The figure belongs to a part that was not asked for."""


@dataclass(frozen=True)
class Limit:
    """One line of the table.

    figure: from the parts; NoFigure where they lack it
    holds: whether the figure is within the limit, and `bound` says the same in words
    handled: ways in which the pipeline copes with a figure beyond it: whether this one does, and the words for it
    board_only: what a processor in the board's place cannot show
    """

    name: str
    what: str
    bound: str
    figure: Callable[[Parts], float]
    holds: Callable[[float], bool]
    handled: tuple[tuple[Callable[[Parts], bool], str], ...] = ()
    board_only: bool = True


@dataclass(frozen=True)
class Verdict:
    """A limit and its verdict. figure: None where there is none; reason: why, or how it is handled."""

    name: str
    what: str
    bound: str
    figure: float | None
    verdict: str
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge(parts: Parts, *, rehearsal: bool) -> list[Verdict]:
    """One verdict per limit. A rehearsal judges only what needs no board."""
    return [_verdict(limit, parts, rehearsal=rehearsal) for limit in LIMITS]


def all_hold(verdicts: Iterable[Verdict], *, rehearsal: bool) -> bool:
    """Whether every limit is kept; in a rehearsal, every one that it can judge."""
    allowed = {PASS, HANDLED, ABSENT} if rehearsal else {PASS, HANDLED}
    return all(verdict.verdict in allowed for verdict in verdicts)


def _verdict(limit: Limit, parts: Parts, *, rehearsal: bool) -> Verdict:
    def said(figure: float | None, verdict: str, reason: str | None) -> Verdict:
        return Verdict(limit.name, limit.what, limit.bound, figure, verdict, reason)

    try:
        figure = limit.figure(parts)
    except NotAsked as missing:
        return said(None, UNKNOWN, str(missing))
    except NoFigure as missing:
        return said(None, ABSENT if rehearsal and limit.board_only else UNKNOWN, str(missing))
    if rehearsal and limit.board_only:
        return said(figure, ABSENT, "a figure of a rehearsal")
    if limit.holds(figure):
        return said(figure, PASS, None)
    lacking, verdict = [], FAIL
    for copes, remedy in limit.handled:
        try:
            if copes(parts):
                return said(figure, HANDLED, remedy)
        except NoFigure as missing:
            lacking.append(str(missing))
            verdict = UNKNOWN if isinstance(missing, NotAsked) else verdict
    return said(figure, verdict, "; ".join(lacking) or None)


def figure_at(parts: Parts, part: str, question: str, *path: str) -> Any:
    """A figure by its place.

    Raises:
        NotAsked: the part was not asked for.
        NoFigure: the part did not run, the question failed, or the answer lacks the figure.
    """
    entry = parts.get(part)
    if entry is None:
        raise NoFigure(f"{part} did not run")
    if entry["state"] == NOT_ASKED:
        raise NotAsked(f"{part}: {NOT_ASKED}")
    answer = entry["figures"].get(question)
    if answer is None:
        raise NoFigure(f"{part}: {entry['state']}{': ' + entry['reason'] if entry['reason'] else ''}")
    for key in (ERROR, NOT_HERE):
        if key in answer:
            raise NoFigure(f"{part}: {answer[key]}")
    for step in path:
        answer = answer.get(step) if isinstance(answer, Mapping) else None
        if answer is None:
            raise NoFigure(f"{part} gives no {' '.join(path)}")
    return answer


def _slowest_call_ms(parts: Parts) -> float:
    """The larger median of the two calls that every sample makes, idle and under load."""
    return max(
        float(figure_at(parts, "nvml-calls", state, "calls", call, "median_ms"))
        for state in ("idle", "loaded")
        for call in ("counter", "power")
    )


def _sampler_is_cheap(parts: Parts) -> bool:
    return bool(figure_at(parts, "sampler-cost", "at_default", "ratio") <= SAMPLER_COST)


def _lag_s(parts: Parts) -> float:
    return abs(float(figure_at(parts, "counter-lag", "step_response", "largest_lag_s")))


def _power_lags_alike(parts: Parts) -> bool:
    return abs(float(figure_at(parts, "counter-lag", "step_response", "largest_lag_beyond_power_s"))) <= LAG_S


def _intercept_s(parts: Parts) -> float:
    """
    Raises:
        NoFigure: the windows scatter so much that the figure could as well be on the other side of the limit.
    """
    found_s = abs(float(figure_at(parts, "window-lengths", "windows", "intercept_s")))
    error_s = 2 * float(figure_at(parts, "window-lengths", "windows", "intercept_standard_error_s"))
    if error_s > INTERCEPT_S and found_s - error_s <= INTERCEPT_S:
        raise NoFigure(f"window-lengths: {found_s:.4f} s with twice the standard error {error_s:.4f} s")
    return found_s


def _windows_have_no_bias(parts: Parts) -> bool:
    return _intercept_s(parts) <= INTERCEPT_S


def _no_graph_in_a_window(parts: Parts) -> bool:
    """Of a whole study, static caches among its settings."""
    whole = int(figure_at(parts, "study", "study", "records")) == EXPECTED
    return whole and GRAPH_IN_WINDOW not in figure_at(parts, "study", "study", "codes")


def _records(question: str) -> Callable[[Parts], float]:
    """How many records of the study meet the condition that `question` counts.

    Raises:
        NoFigure: all existing records meet it, and there was no time for the others.
    """

    def figure(parts: Parts) -> float:
        counted = int(figure_at(parts, "study", "study", question))
        known = int(figure_at(parts, "study", "study", "records"))
        if counted == known < EXPECTED and figure_at(parts, "study", "study", "stopped"):
            raise NoFigure(f"study: no time left for {EXPECTED - known} of {EXPECTED} records")
        return counted

    return figure


def _figure(part: str, question: str, *path: str) -> Callable[[Parts], float]:
    return lambda parts: float(figure_at(parts, part, question, *path))


LATENCY_MS, LAG_S, INTERCEPT_S, VARIATION = 2.0, 0.03, 0.02, 0.01
LIMITS = (
    Limit(
        "nvml-latency",
        "median of a call of NVML's counter or power, idle and under load, in ms",
        f"≤ {LATENCY_MS:g}",
        _slowest_call_ms,
        lambda value: value <= LATENCY_MS,
        ((_sampler_is_cheap, f"the sampler slows a decoding by at most {SAMPLER_COST - 1:.0%} anyway"),),
    ),
    Limit(
        "counter-lag",
        "lag of the energy counter behind a step of the load, in s",
        f"≤ {LAG_S:g}",
        _lag_s,
        lambda value: value <= LAG_S,
        (
            (_windows_have_no_bias, "energy over the window's length shows no bias of the edges"),
            (_power_lags_alike, "the power reading is as late: the board itself takes this time"),
        ),
    ),
    Limit(
        "window-intercept",
        "intercept of energy over the window's length, as time, in s",
        f"≤ {INTERCEPT_S:g}",
        _intercept_s,
        lambda value: value <= INTERCEPT_S,
    ),
    Limit(
        "prefill-forwards",
        "forward passes of a prefill-only pass",
        "= 1",
        _figure("decoding", "prefill_only", "forwards_of_prefill"),
        lambda value: value == 1,
        board_only=False,
    ),
    Limit(
        "graphs-recorded",
        "CUDA graphs recorded after the third pass over static caches",
        "= 0",
        _figure("decoding", "graphs", "recorded_after_third_pass"),
        lambda value: value == 0,
        ((_no_graph_in_a_window, "the warm-up went on until a pass recorded none; the study's windows saw none"),),
    ),
    Limit(
        "records-valid",
        "records of the study that are ok and valid",
        f"= {EXPECTED}",
        _records("ok_and_valid"),
        lambda value: value == EXPECTED,
    ),
    Limit(
        "energy-source",
        f"records of the study whose energy is {COUNTER}",
        f"= {EXPECTED}",
        _records("by_counter"),
        lambda value: value == EXPECTED,
    ),
    Limit(
        "joules-repeat",
        "coefficient of variation of J/token between 2 replicates, the largest",
        f"≤ {VARIATION:g}",
        _figure("study", "study", "joules_cv"),
        lambda value: value <= VARIATION,
    ),
    Limit(
        "static-cheaper",
        "J/token with a static cache over that with a dynamic one",
        "< 1",
        _figure("study", "study", "static_over_dynamic"),
        lambda value: value < 1,
    ),
)
