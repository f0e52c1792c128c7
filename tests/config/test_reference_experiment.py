"""measurement.reference: the experiment whose outputs all others are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llenergymeasure.config import Study, study_from_mapping
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.records.study.plan import Plan

Refuse = Callable[..., list[str]]
MODEL = "random:llama?hidden_size=64&seed=7"
MATRIX = {"pytorch.attn_implementation": ["eager", "sdpa"], "decoder.preset": ["creative", "deterministic"]}
HEAD = "study: a\ndefaults: {model: 'random:llama'}\nmatrix: {n_prompts: [1, 2]}\n"


def study(reference: Any = None, **parts: Any) -> Study:
    measurement = {} if reference is None else {"reference": reference}
    parts.setdefault("matrix", MATRIX)
    return study_from_mapping({"study": "a", "defaults": {"model": MODEL}, "measurement": measurement, **parts})


def place(plan: Plan) -> int:
    """Of the reference, in the study's order."""
    return list(plan.experiments).index(plan.reference)


@pytest.mark.parametrize(
    ("reference", "wanted"),
    [
        (None, 0),
        ({"pytorch.attn_implementation": "sdpa"}, 2),
        ({"pytorch.attn_implementation": "sdpa", "decoder.do_sample": False}, 3),
        ({"pytorch": {"attn_implementation": ["flash_attention_2", "sdpa"]}}, 2),
        # What a preset stands for, and a default that nobody wrote.
        ({"decoder": {"do_sample": False}, "fixed_output": True}, 1),
    ],
)
def test_the_first_experiment_that_every_key_matches(reference: Any, wanted: int) -> None:
    assert place(plan_from_study(study(reference), existing=None)) == wanted


def test_the_measuring_order_does_not_matter() -> None:
    for seed in range(5):
        made = study_from_mapping({"study": "a", "defaults": {"model": MODEL}, "matrix": MATRIX} | _seed(seed))
        assert place(plan_from_study(made, existing=None)) == 0


def test_entries_written_out_can_be_the_reference() -> None:
    made = study({"n_prompts": 7}, include=[{"n_prompts": 7}])
    assert place(plan_from_study(made, existing=None)) == 4


def test_excluded_and_invalid_points_are_not_the_reference() -> None:
    matrix = {"pytorch.prompt_lookup_num_tokens": [3, None], "pytorch.batch_size": [2, 4]}
    made = study({"pytorch.batch_size": [2, 4]}, matrix=matrix, invalid="skip", exclude=[{"pytorch.batch_size": 2}])
    plan = plan_from_study(made, existing=None)
    assert len(plan.experiments) == 1
    assert place(plan) == 0


def test_a_plan_keeps_its_reference_when_experiments_come_before_it() -> None:
    old = plan_from_study(study(), existing=None)
    wider = {**MATRIX, "pytorch.attn_implementation": ["flash_attention_2", "eager", "sdpa"]}
    grown = plan_from_study(study(matrix=wider), existing=old)
    assert grown.reference == old.reference
    assert place(grown) == 2
    # A new plan, and one in which the reference is gone, start from the first again.
    assert place(plan_from_study(study(matrix=wider), existing=None)) == 0
    rest = plan_from_study(study(matrix={**MATRIX, "pytorch.attn_implementation": ["sdpa"]}), existing=old)
    assert place(rest) == 0
    assert rest.reference != old.reference


def test_a_reference_that_is_named_replaces_the_plans_and_stays_when_it_is_not_named_any_more() -> None:
    old = plan_from_study(study(), existing=None)
    named = plan_from_study(study({"pytorch.attn_implementation": "sdpa"}), existing=old)
    assert place(named) == 2
    assert named.order == old.order
    assert plan_from_study(study(), existing=named).reference == named.reference


@pytest.mark.parametrize(
    ("measurement", "rule", "words"),
    [
        (
            "{reference: {n_prompts: 3}}",
            "reference-unmatched",
            "measurement.reference: matches no experiment of the study",
        ),
        (
            "{reference: {n_prompts: true}}",
            "reference-unmatched",
            "measurement.reference: matches no experiment of the study",
        ),
        ("{reference: {pytorch.beams: 1}}", "unknown-key", "measurement.reference.pytorch.beams: is not a setting"),
        ("{reference: {}}", "wrong-value", "measurement.reference: is {}; expected: a mapping, not empty"),
        ("{reference: sdpa}", "wrong-value", 'measurement.reference: is "sdpa"; expected: a mapping, not empty'),
    ],
)
def test_mistakes_name_the_place(refuse: Refuse, measurement: str, rule: str, words: str) -> None:
    (line,) = refuse(f"{HEAD}measurement: {measurement}\n")
    assert line.startswith("study.yaml:4: ")
    assert words in line
    assert line.endswith(f"[{rule}]")


def test_a_reference_that_is_skipped_as_invalid_says_so(refuse: Refuse) -> None:
    (line,) = refuse(
        "study: a\ninvalid: skip\ndefaults: {model: 'random:llama', pytorch.batch_size: 2}\n"
        "matrix: {pytorch.prompt_lookup_num_tokens: [null, 3]}\n"
        "measurement: {reference: {pytorch.prompt_lookup_num_tokens: 3}}\n"
    )
    assert "study.yaml:5: measurement.reference: matches no experiment" in line
    assert "skipped as invalid" in line


def test_a_broken_experiment_is_one_mistake_and_not_two(refuse: Refuse) -> None:
    lines = refuse(
        "study: a\ndefaults: {model: 'random:llama'}\nmatrix: {n_prompts: [1, -2]}\n"
        "measurement: {reference: {n_prompts: -2}}\n"
    )
    assert len(lines) == 1
    assert "wrong-value" in lines[0]


def _seed(seed: int) -> dict[str, Any]:
    return {"measurement": {"seed": seed, "isolation": "experiment"}}
