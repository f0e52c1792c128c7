"""The limits of the acceptance: a good board keeps them all, and each one fails when its figure is beyond it."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.gpu import compact
from benchmarks.gpu.limits import GRAPH_IN_WINDOW, LIMITS, Verdict, all_hold, judge
from benchmarks.gpu.parts import not_asked_for
from benchmarks.gpu.table import FIGURES, WIDEST, table

from llenergymeasure.measurement.window_findings import compiler_findings


def calls(milliseconds: float) -> dict[str, Any]:
    latency = {"least_ms": 0.01, "median_ms": milliseconds, "most_ms": 30.0}
    return {"calls": {"counter": latency, "power": dict(latency)}, "steps": {}}


GOOD: dict[str, dict[str, Any]] = {
    "nvml-calls": {"idle": calls(0.2), "loaded": calls(1.9)},
    "counter-lag": {"step_response": {"largest_lag_s": -0.02, "largest_lag_beyond_power_s": 0.05}},
    "window-lengths": {"windows": {"intercept_s": -0.01, "intercept_standard_error_s": 0.002}},
    "decoding": {"prefill_only": {"forwards_of_prefill": 1}, "graphs": {"recorded_after_third_pass": 0}},
    "study": {
        "study": {
            "records": 6,
            "codes": {},
            "stopped": False,
            "ok_and_valid": 6,
            "by_counter": 6,
            "joules_cv": 0.004,
            "static_over_dynamic": 0.8,
        }
    },
    "sampler-cost": {"at_default": {"ratio": 1.005}},
}


def parts(**changes: Any) -> dict[str, Any]:
    """A good board's parts with some figures replaced; `part__question__figure=value`, dashes as underscores."""
    figures = copy.deepcopy(GOOD)
    for path, value in changes.items():
        part, question, *rest = path.split("__")
        place = figures[part.replace("_", "-")]
        for step in (question, *rest[:-1]):
            place = place[step]
        place[rest[-1]] = value
    return {
        name: {"state": "done", "reason": None, "seconds": 1.0, "figures": part_figures}
        for name, part_figures in figures.items()
    }


def verdict_of(name: str, board_parts: dict[str, Any], *, rehearsal: bool = False) -> Verdict:
    (verdict,) = [item for item in judge(board_parts, rehearsal=rehearsal) if item.name == name]
    return verdict


def test_a_good_board_keeps_every_limit() -> None:
    verdicts = judge(parts(), rehearsal=False)
    assert [verdict.verdict for verdict in verdicts] == ["pass"] * len(LIMITS)
    assert all_hold(verdicts, rehearsal=False)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (
            "nvml-latency",
            {"nvml_calls__loaded__calls__counter__median_ms": 2.1, "sampler_cost__at_default__ratio": 1.02},
        ),
        (
            "nvml-latency",
            {"nvml_calls__idle__calls__power__median_ms": 2.1, "sampler_cost__at_default__ratio": 1.02},
        ),
        (
            "counter-lag",
            {"counter_lag__step_response__largest_lag_s": 0.031, "window_lengths__windows__intercept_s": 0.03},
        ),
        (
            "counter-lag",
            {"counter_lag__step_response__largest_lag_s": -0.031, "window_lengths__windows__intercept_s": 0.03},
        ),
        ("window-intercept", {"window_lengths__windows__intercept_s": 0.021}),
        ("window-intercept", {"window_lengths__windows__intercept_s": -0.021}),
        ("prefill-forwards", {"decoding__prefill_only__forwards_of_prefill": 2}),
        (
            "graphs-recorded",
            {"decoding__graphs__recorded_after_third_pass": 1, "study__study__codes": {GRAPH_IN_WINDOW: 1}},
        ),
        ("records-valid", {"study__study__ok_and_valid": 5}),
        ("records-valid", {"study__study__ok_and_valid": 5, "study__study__stopped": True}),
        ("records-valid", {"study__study__ok_and_valid": 5, "study__study__records": 5}),
        ("energy-source", {"study__study__by_counter": 0}),
        ("joules-repeat", {"study__study__joules_cv": 0.0101}),
        ("static-cheaper", {"study__study__static_over_dynamic": 1.0}),
    ],
)
def test_each_limit_fails_when_its_figure_is_beyond_it(name: str, changes: dict[str, Any]) -> None:
    verdicts = judge(parts(**changes), rehearsal=False)
    assert verdict_of(name, parts(**changes)).verdict == "fail"
    assert not all_hold(verdicts, rehearsal=False)


def test_every_limit_is_tried_above() -> None:
    marks = [
        mark for mark in test_each_limit_fails_when_its_figure_is_beyond_it.pytestmark if mark.name == "parametrize"
    ]
    assert {case[0] for case in marks[0].args[1]} == {limit.name for limit in LIMITS}


def test_slow_calls_are_handled_where_the_sampler_costs_nothing() -> None:
    verdict = verdict_of("nvml-latency", parts(nvml_calls__loaded__calls__counter__median_ms=8.0))
    assert (verdict.verdict, verdict.figure) == ("handled", 8.0)
    assert verdict.reason and "1%" in verdict.reason


def test_late_recordings_are_handled_where_no_window_of_a_whole_study_saw_one() -> None:
    late = {"decoding__graphs__recorded_after_third_pass": 2}
    assert verdict_of("graphs-recorded", parts(**late)).verdict == "handled"
    assert verdict_of("graphs-recorded", parts(**late, study__study__records=5)).verdict == "fail"
    recorded = {"study__study__codes": {GRAPH_IN_WINDOW: 1}}
    assert verdict_of("graphs-recorded", parts(**late, **recorded)).verdict == "fail"


def test_the_finding_that_says_so_is_the_records_own() -> None:
    observation: Any = SimpleNamespace(window_counts={"graphs_recorded": 1}, compile_counts={})
    assert [finding.code for finding in compiler_findings(observation)] == [GRAPH_IN_WINDOW]


def test_a_lag_is_handled_where_windows_show_no_bias() -> None:
    verdict = verdict_of("counter-lag", parts(counter_lag__step_response__largest_lag_s=0.1))
    assert (verdict.verdict, verdict.figure) == ("handled", 0.1)


def test_a_lag_is_handled_where_the_power_reading_follows_as_late() -> None:
    ramp = {"counter_lag__step_response__largest_lag_s": 0.2, "window_lengths__windows__intercept_s": 0.03}
    assert verdict_of("counter-lag", parts(**ramp)).verdict == "fail"
    verdict = verdict_of("counter-lag", parts(**ramp, counter_lag__step_response__largest_lag_beyond_power_s=-0.02))
    assert (verdict.verdict, verdict.figure) == ("handled", 0.2)
    assert verdict.reason and "power reading" in verdict.reason


@pytest.mark.parametrize(
    ("intercept_s", "error_s", "verdict"),
    [(0.005, 0.011, "unknown"), (0.03, 0.011, "unknown"), (-0.05, 0.011, "fail"), (0.005, 0.01, "pass")],
)
def test_an_intercept_that_scatters_past_its_limit_is_unknown(intercept_s: float, error_s: float, verdict: str) -> None:
    changes = {"intercept_s": intercept_s, "intercept_standard_error_s": error_s}
    board_parts = parts(**{f"window_lengths__windows__{name}": value for name, value in changes.items()})
    assert verdict_of("window-intercept", board_parts).verdict == verdict
    board_parts["counter-lag"]["figures"]["step_response"]["largest_lag_s"] = 0.1
    assert verdict_of("counter-lag", board_parts).verdict == ("handled" if verdict == "pass" else "fail")


@pytest.mark.parametrize("measured", [0, 4])
def test_a_study_that_was_stopped_for_its_time_is_unknown_and_not_a_failure(measured: int) -> None:
    names = ("records", "ok_and_valid", "by_counter")
    stopped = {f"study__study__{name}": measured for name in names} | {"study__study__stopped": True}
    for name in ("records-valid", "energy-source"):
        verdict = verdict_of(name, parts(**stopped))
        assert verdict.verdict == "unknown" and verdict.reason
        assert f"no time left for {6 - measured} of 6 records" in verdict.reason


@pytest.mark.parametrize("answer", [{"error": "ValueError: no"}, {}, None])
def test_a_figure_that_is_missing_is_unknown_and_no_pass(answer: dict[str, Any] | None) -> None:
    board_parts = parts()
    board_parts["study"] |= {
        "state": "stopped",
        "reason": "killed after 330 s",
        "figures": {"study": answer} if answer is not None else {},
    }
    verdicts = judge(board_parts, rehearsal=False)
    unknown = {verdict.name: verdict.reason for verdict in verdicts if verdict.verdict == "unknown"}
    assert set(unknown) == {"records-valid", "energy-source", "joules-repeat", "static-cheaper"}
    assert all("study" in (reason or "") for reason in unknown.values())
    assert not all_hold(verdicts, rehearsal=False)


@pytest.mark.parametrize("rehearsal", [False, True])
def test_a_part_that_was_not_asked_for_leaves_its_limits_unknown(rehearsal: bool) -> None:
    only = ["board", "sampler-cost"]
    board_parts = {name: entry for name, entry in parts().items() if name in only} | not_asked_for(only)
    verdicts = judge(board_parts, rehearsal=rehearsal)
    assert {verdict.verdict for verdict in verdicts} == {"unknown"}
    assert all((verdict.reason or "").endswith(": not asked for") for verdict in verdicts)
    assert not all_hold(verdicts, rehearsal=rehearsal)


def test_a_figure_beyond_its_limit_is_not_a_failure_where_what_could_handle_it_was_not_asked_for() -> None:
    board_parts = parts(nvml_calls__loaded__calls__counter__median_ms=8.0)
    board_parts |= not_asked_for([name for name in board_parts if name != "sampler-cost"])
    verdict = verdict_of("nvml-latency", board_parts)
    assert (verdict.verdict, verdict.figure, verdict.reason) == ("unknown", 8.0, "sampler-cost: not asked for")


def test_a_part_without_time_leaves_its_limits_unknown() -> None:
    verdicts = judge({}, rehearsal=False)
    assert {verdict.verdict for verdict in verdicts} == {"unknown"}


def test_a_rehearsal_passes_no_limit_that_needs_a_board() -> None:
    verdicts = judge(parts(), rehearsal=True)
    assert [verdict.name for verdict in verdicts if verdict.verdict == "pass"] == ["prefill-forwards"]
    assert {verdict.verdict for verdict in verdicts} == {"pass", "not on this machine"}
    beyond = judge(parts(decoding__prefill_only__forwards_of_prefill=2), rehearsal=True)
    assert all_hold(verdicts, rehearsal=True) and not all_hold(beyond, rehearsal=True)


def test_the_table_shows_every_limit_and_figure_and_a_rehearsal_in_its_first_line() -> None:
    board_parts = parts(study__study__ok_and_valid=5)
    content = {"board": "H100", "rehearsal": False, "only": None, "seconds": 500.0, "parts": board_parts}
    shown = table(content, judge(board_parts, rehearsal=False))
    assert shown.startswith("acceptance of H100\n")
    assert all(limit.what in shown for limit in LIMITS) and all(words in shown for words, _ in FIGURES)
    (line,) = [row for row in shown.splitlines() if "records of the study that are ok" in row]
    assert line.split()[:4] == ["fail", "5", "=", "6"]
    assert table({**content, "rehearsal": True}, []).startswith("REHEARSAL")
    only = ["study", "sampler-cost"]
    partial = table({**content, "only": only, "parts": board_parts | not_asked_for(only)}, [])
    assert partial.startswith("acceptance of H100; partial, only study, sampler-cost\n")
    assert all((words in partial) == (place[0] in only) for words, place in FIGURES)


def test_the_table_shows_figures_in_one_short_line_each() -> None:
    held = {"sw_power_cap": {"counter_per_s": 991037489.7, "share_of_samples": 1.0}}
    held |= {name: {"counter_per_s": None, "share_of_samples": 0.0} for name in ("hw_slowdown", "sync_boost")}
    board_parts = parts()
    board_parts["nvml-calls"]["figures"]["loaded"]["throttling"] = held
    board_parts["study"]["figures"]["study"] |= {
        "jobs": [{"rule": "validate", "ended_s": 16.5, "seconds": 16.5}, {"rule": "model", "seconds": 47.2}],
        "codes": {},
        "stopped": True,
    }
    board_parts["decoding"]["figures"]["attention"] = {"padded": ["a_kernel" * 10] * 5}
    shown = table({"board": "H100", "rehearsal": False, "only": None, "seconds": 500.0, "parts": board_parts}, [])
    lines = {line.split("  ")[0]: line.rsplit("  ", 1)[-1] for line in shown.splitlines()}
    assert lines["what holds the clocks down, under load"] == (
        "sw_power_cap 0.991 s/s by counter (ns), 1.000 of samples"
    )
    assert lines["seconds of its jobs"] == "validate 16.5, model 47.2"
    assert lines["what the study's runs were judged by"] == "none"
    cut = lines["attention, padded"]
    assert len(cut) == WIDEST and cut.endswith("…")
    assert not any(sign in shown for sign in "{}[]")


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"a": {"counter_per_s": 5e5, "share_of_samples": 0.5}}, "a 0.500 s/s by counter (µs), 0.500 of samples"),
        ({"a": {"counter_per_s": None, "share_of_samples": 0.5}}, "a - by counter, 0.500 of samples"),
        ({"a": {"counter_per_s": 0.0, "share_of_samples": 0.0}}, "nothing"),
        ({"refused": "Not Supported"}, "refused Not Supported"),
    ],
)
def test_what_holds_the_clocks_down_is_said_in_the_unit_of_its_counter(value: dict[str, Any], line: str) -> None:
    assert compact.held_down(value) == line


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"steps": 20, "median_ms": 99.976, "spread": None}, "steps 20, median_ms 99.976, spread -"),
        ([0.07154321, [1, 2]], "0.071543, (1, 2)"),
        (True, "yes"),
        ([], "none"),
        ("5.23.0", "5.23.0"),
    ],
)
def test_a_value_is_compact(value: Any, line: str) -> None:
    assert compact.compact(value) == line
