"""`--config` with nested values: Snakemake hands their parts over as text."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from snakemake.cli import parse_config
from snakemake.utils import update_config

from llenergymeasure.config import study_from_mapping
from llenergymeasure.config.study.command_line import read_nested_values

STUDY: dict[str, Any] = {
    "study": "a",
    "defaults": {"model": "random:llama", "n_prompts": 8, "pytorch": {"batch_size": 2}},
    "matrix": {"max_output_tokens": [4, 8]},
}


def merged(*entries: str) -> dict[str, Any]:
    """The study with these values of `--config`, as the rules read it."""
    config = copy.deepcopy(STUDY)
    given = parse_config(entries)
    update_config(config, given)
    read_nested_values(config, given)
    return config


@pytest.mark.parametrize(
    ("entry", "section", "right"),
    [
        ('defaults={"n_prompts": 3}', "defaults", {**STUDY["defaults"], "n_prompts": 3}),
        ("defaults={n_prompts: 3}", "defaults", {**STUDY["defaults"], "n_prompts": 3}),
        (
            "defaults={pytorch: {use_cache: false, num_beams: null}}",
            "defaults",
            {**STUDY["defaults"], "pytorch": {"batch_size": 2, "use_cache": False, "num_beams": None}},
        ),
        ("defaults={decoder.temperature: 0.7}", "defaults", {**STUDY["defaults"], "decoder.temperature": 0.7}),
        ("matrix={max_output_tokens: [16, 32]}", "matrix", {"max_output_tokens": [16, 32]}),
        ("measurement={target_relative_ci: 1.0e-2}", "measurement", {"target_relative_ci": 0.01}),
        ("costs=null", "costs", None),
        ("study=other", "study", "other"),
        ("study=<<", "study", "<<"),
        ("study=2026-01-01", "study", "2026-01-01"),
        ("""exclude=[{model: '"3"', dataset.path: '{x}'}]""", "exclude", [{"model": "3", "dataset.path": "{x}"}]),
    ],
)
def test_a_value_is_what_a_file_would_hold(entry: str, section: str, right: Any) -> None:
    config = merged(entry)
    assert repr(config[section]) == repr(right)
    assert {key: value for key, value in config.items() if key != section} == {
        key: value for key, value in STUDY.items() if key != section
    }


def test_a_study_is_overridden_by_nested_values(tmp_path: Path) -> None:
    config = merged("defaults={n_prompts: 3}", "measurement={replicates: 2}", "matrix={pytorch.use_cache: [true]}")
    study = study_from_mapping(config, lock_path=tmp_path / "lock")
    assert study.measurement.replicates == 2
    assert {(point.n_prompts, point.pytorch.use_cache) for point in study.expand()} == {(3, True)}
    assert len(study.expand()) == 2
