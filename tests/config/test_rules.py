"""Which settings fit together. Each rule has a case that breaks it and a near one that does not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from rule_cases import BEAMS, CASES, FREE, GREEDY

from llenergymeasure.config import DecoderConfig, ExperimentConfig, PyTorchConfig
from llenergymeasure.config.rules.rulebook import rules
from llenergymeasure.config.settings.experiment import ExperimentSettings
from llenergymeasure.config.settings.setting_paths import is_leaf, sections
from llenergymeasure.config.study.build import build

SEVERITIES = {rule.id: rule.severity for rule in rules()} | {
    "passthrough-ends-fixed-output": "error",
    "passthrough-names-setting": "error",
    "passthrough-reserved": "error",
    "passthrough-unread": "error",
}
MODEL = {"model": "random:llama?seed=7"}


def broken_rules(settings: dict[str, Any]) -> set[str | None]:
    return {problem.rule for problem in build({**MODEL, **settings})[1]}


@pytest.mark.parametrize(("rule", "breaking", "keeping"), CASES, ids=[case[0] for case in CASES])
def test_rule(rule: str, breaking: dict[str, Any], keeping: dict[str, Any]) -> None:
    config, problems = build({**MODEL, **breaking})
    (problem,) = (problem for problem in problems if problem.rule == rule)
    assert problem.severity == SEVERITIES[rule]
    assert problem.hint
    assert "\n" not in problem.render()
    if problem.severity == "error":
        assert config is None
    assert rule not in broken_rules(keeping)


def test_every_rule_has_a_case() -> None:
    assert set(SEVERITIES) == {case[0] for case in CASES}


def test_every_rule_looks_at_real_settings() -> None:
    for rule in rules():
        assert all(is_leaf(path) for path in rule.paths), rule.id


def test_defaults_break_no_rule() -> None:
    assert build(MODEL)[1] == []
    assert build({**MODEL, **GREEDY})[1] == []
    assert build({**MODEL, "decoder.preset": "deterministic"})[1] == []


def test_beams_with_fixed_output_are_fine() -> None:
    assert build({**MODEL, **BEAMS, "fixed_output": True})[1] == []


def test_preset_values_break_no_rule() -> None:
    for preset in ("deterministic", "standard", "creative", "factual"):
        assert broken_rules({"decoder.preset": preset}) == set()


def test_all_violations_at_once() -> None:
    assert broken_rules(
        {"pytorch.early_stopping": True, "pytorch.torch_compile_mode": "x", "decoder.min_p": 0.1, **GREEDY}
    ) == {
        "early-stopping-needs-beams",
        "early-stopping-fixed-output",
        "compile-mode-needs-compile",
        "min-p-needs-sampling",
    }


def test_rules_hold_for_configurations_made_in_python() -> None:
    with pytest.raises(ValidationError, match="quantization-4bit-or-8bit"):
        PyTorchConfig(load_in_4bit=True, load_in_8bit=True)
    with pytest.raises(ValidationError, match="sampler-needs-sampling"):
        DecoderConfig(do_sample=False, top_p=0.5)
    with pytest.raises(ValidationError, match="min-tokens-above-max"):
        ExperimentConfig(model="org/name", fixed_output=False, decoder=DecoderConfig(min_new_tokens=999))
    with pytest.raises(ValidationError, match="passthrough-names-setting"):
        ExperimentConfig(model="org/name", passthrough_kwargs={"from_pretrained": {"torch_dtype": "float16"}})


def test_checked_experiments_have_the_shape_of_the_settings() -> None:
    shape, checked = ExperimentSettings.model_fields, ExperimentConfig.model_fields
    assert list(checked) == list(shape)
    assert {name: field.description for name, field in checked.items()} == {
        name: field.description for name, field in shape.items()
    }
    for name, section in sections().items():
        kind = checked[name].annotation
        assert isinstance(kind, type) and issubclass(kind, section)
        assert list(kind.model_fields) == list(section.model_fields)


def test_a_wrong_value_hides_no_other_rule_but_its_own() -> None:
    broken = broken_rules(
        {"pytorch.num_beams": "4", "pytorch.early_stopping": True, "pytorch.torch_compile_mode": "default", **FREE}
    )
    assert broken == {"wrong-value", "compile-mode-needs-compile"}
