"""What the acceptance prints at its end: limits with their verdicts, figures that have none, parts with their times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.gpu.compact import compact, held_down, jobs
from benchmarks.gpu.limits import NoFigure, Parts, Verdict, figure_at
from benchmarks.gpu.schedule import NOT_ASKED

# What is asked of a board without a limit: the words, and where the answer is.
FIGURES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("counter's ticks, idle", ("nvml-calls", "idle", "steps", "counter")),
    ("counter's ticks, under load", ("nvml-calls", "loaded", "steps", "counter")),
    ("power of the module", ("nvml-calls", "idle", "calls", "module_power")),
    ("seconds until idle power has settled after a load", ("counter-lag", "step_response", "settle_s")),
    ("lag of the power reading behind each step in s", ("counter-lag", "step_response", "lag_of_power_s")),
    ("idle W by the counter", ("counter-lag", "step_response", "idle_w")),
    ("idle W by the power reading", ("counter-lag", "step_response", "idle_by_power_w")),
    (
        "the same lag without that of the power reading in s",
        ("counter-lag", "step_response", "largest_lag_beyond_power_s"),
    ),
    ("W under that load, by the counter", ("counter-lag", "step_response", "busy_w")),
    ("power limit in W", ("counter-lag", "step_response", "limit_w")),
    ("what holds the clocks down, under load", ("nvml-calls", "loaded", "throttling")),
    ("intercept's standard error in s", ("window-lengths", "windows", "intercept_standard_error_s")),
    ("work in the windows: share of the power limit", ("window-lengths", "windows", "share_of_limit")),
    ("largest share of a window at that limit", ("window-lengths", "windows", "power_limited")),
    ("windows: W by length in s", ("window-lengths", "windows", "watts_by_length")),
    ("seconds of a decoding in a window over one outside", ("sampler-cost", "at_default", "ratio")),
    ("standard error of that", ("sampler-cost", "at_default", "ratio_standard_error")),
    ("seconds of its steps in windows", ("sampler-cost", "at_default", "step_inside_s")),
    ("seconds of its steps outside", ("sampler-cost", "at_default", "step_outside_s")),
    ("share of long steps in windows", ("sampler-cost", "at_default", "long_steps_inside")),
    ("share of long steps outside", ("sampler-cost", "at_default", "long_steps_outside")),
    ("the ratio, power read every 0.2 s", ("sampler-cost", "at_200_ms", "ratio")),
    ("µs per time stamp", ("sampler-cost", "stamp", "us")),
    ("attention, prompts of one length", ("decoding", "attention", "equal_lengths")),
    ("attention, padded", ("decoding", "attention", "padded")),
    ("peak of a short static pass after a longer one, over a fresh one", ("decoding", "static_cache_length", "ratio")),
    ("seconds of the first whole pass, which makes cuDNN's plans", ("decoding", "prefill_only", "first_all_s")),
    ("seconds of a decoding step after it", ("decoding", "prefill_only", "step_s")),
    ("a pass after a profile of kernels, over one before", ("decoding", "profiler_cost", "ratio")),
    ("transformers", ("environment", "versions", "transformers")),
    ("the machine's own transformers", ("other-library", "passes", "transformers")),
    ("forwards of its prefill-only pass", ("other-library", "passes", "forwards_of_prefill")),
    ("carried packages lack", ("environment", "unmet")),
    ("peak can be reset before CUDA is in use", ("board", "cuda", "peak_is_reset_before_cuda_is_initialised")),
    ("torch and NVML mean the same board", ("board", "cuda", "same_board_as_nvml")),
    ("Snakemake", ("study", "study", "snakemake")),
    ("seconds of its jobs", ("study", "study", "jobs")),
    ("J/token between 2 replicates, pooled coefficient of variation", ("study", "study", "joules_cv_pooled")),
    ("lines of it that cannot be read", ("study", "study", "unreadable")),
    ("what the study's runs were judged by", ("study", "study", "codes")),
    ("evidence tests that passed", ("evidence", "evidence", "passed")),
    ("evidence tests that did not", ("evidence", "evidence", "not_passed")),
)
# Answers that have words of their own, by the last step to them.
WORDED: Mapping[str, Callable[[Any], str]] = {"throttling": held_down, "jobs": jobs}
WIDEST = 160


def table(content: Mapping[str, Any], verdicts: Sequence[Verdict]) -> str:
    """The document in lines; a rehearsal says so in the first one."""
    board = content["board"] or "no board answered"
    head = f"REHEARSAL, says nothing of a board ({board})" if content["rehearsal"] else f"acceptance of {board}"
    if content["only"] is not None:
        head += f"; partial, only {', '.join(content['only'])}"
    limits = [
        (verdict.verdict, _number(verdict.figure), verdict.bound, f"{verdict.what}{_in_brackets(verdict.reason)}")
        for verdict in verdicts
    ]
    parts = [
        (entry["state"], f"{entry['seconds']:.1f} s", name, entry["reason"] or "")
        for name, entry in content["parts"].items()
    ]
    return "\n".join(
        [
            head,
            *_columns([("verdict", "figure", "limit", "of"), *limits]),
            "",
            *_columns(_figures(content["parts"])),
            "",
            *_columns([("state", "took", "part", ""), *parts]),
            f"{content['seconds']:.0f} s in all",
        ]
    )


def _figures(parts: Parts) -> list[tuple[str, str]]:
    """Words and figure, without those of parts that were not asked for."""
    absent = {name for name, entry in parts.items() if entry["state"] == NOT_ASKED}
    return [(words, _figure(parts, place)) for words, place in FIGURES if place[0] not in absent]


def _figure(parts: Parts, place: tuple[str, ...]) -> str:
    try:
        text = WORDED.get(place[-1], compact)(figure_at(parts, *place))
    except NoFigure as missing:
        text = f"- ({missing})"
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def _number(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.4g}"


def _in_brackets(text: str | None) -> str:
    return f" ({text})" if text else ""
