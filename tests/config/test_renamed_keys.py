"""A key or value that was renamed is an error that names the new one, wherever a study writes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llenergymeasure.config import MeasurementConfig, StudyConfig, StudyError, study_from_mapping
from llenergymeasure.config.settings.setting_paths import is_leaf, is_section
from llenergymeasure.config.study.renamed_keys import RENAMED, RENAMED_VALUES

Refuse = Callable[..., list[str]]
HEAD = "study: a\ndefaults:\n  model: 'random:llama'\n"
WARMUP = "was renamed in version 0.2.0: write warmup.temperature_timeout_s [renamed-key]"
PER_SESSION = "was renamed in version 0.2.0: write measurement.experiments_per_session [renamed-key]"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  n: 5\n", "study.yaml:4: defaults.n: was renamed in version 0.2.0: write n_prompts [renamed-key]"),
        ("n: 5\n", "study.yaml:4: n: is not a key of a study; did you mean defaults.n_prompts? [unknown-key]"),
        ("  warmup: {max_s: 5}\n", f"study.yaml:4: defaults.warmup.max_s: {WARMUP}"),
        ("  warmup.max_s: 5\n", f"study.yaml:4: defaults.warmup.max_s: {WARMUP}"),
        ("matrix:\n  warmup.max_s: [5, 6]\n", f"study.yaml:5: matrix.warmup.max_s: {WARMUP}"),
        ("matrix:\n  warmup:\n    - {max_s: 5}\n", f"study.yaml:6: matrix.warmup[0].max_s: {WARMUP}"),
        ("include:\n  - warmup: {max_s: 5}\n", f"study.yaml:5: include[0].warmup.max_s: {WARMUP}"),
        ("exclude:\n  - warmup.max_s: 5\n", f"study.yaml:5: exclude[0].warmup.max_s: {WARMUP}"),
        (
            "measurement:\n  reference: {warmup.max_s: 5}\n",
            f"study.yaml:5: measurement.reference.warmup.max_s: {WARMUP}",
        ),
        (
            "measurement:\n  experiments_per_batch: 5\n",
            f"study.yaml:5: measurement.experiments_per_batch: {PER_SESSION}",
        ),
        ("  experiments_per_batch: 5\n", f"study.yaml:4: defaults.experiments_per_batch: {PER_SESSION}"),
        ("experiments_per_batch: 5\n", f"study.yaml:4: experiments_per_batch: {PER_SESSION}"),
        ("defaults.warmup.max_s: 5\n", f"study.yaml:4: defaults.warmup.max_s: {WARMUP}"),
    ],
)
def test_an_old_key_names_the_new_one_and_the_place(refuse: Refuse, text: str, line: str) -> None:
    assert refuse(HEAD + text) == [line]


def test_an_old_key_on_the_command_line_says_so() -> None:
    with pytest.raises(StudyError, match=r"^defaults\.warmup\.max_s: was renamed in version 0\.2\.0: write"):
        study_from_mapping({"study": "a", "defaults": {"model": "random:llama", "warmup": {"max_s": 5}}})


def test_the_table_names_keys_that_exist_and_none_that_is_in_use() -> None:
    measurement = {f"measurement.{name}" for name in MeasurementConfig.model_fields}
    for old, new in RENAMED.items():
        assert not (is_leaf(old) or is_section(old) or old in measurement), old
        assert is_leaf(new.path) or new.path in measurement, new


@pytest.mark.parametrize(("path", "old"), RENAMED_VALUES)
def test_an_old_value_names_the_new_one_and_the_place(refuse: Refuse, path: str, old: str) -> None:
    section, _, key = path.partition(".")
    new, version = RENAMED_VALUES[path, old]
    line = f"study.yaml:5: {path}: the value {old} was renamed in version {version}: write {new} [renamed-value]"
    assert refuse(HEAD + f"{section}:\n  {key}: {old}\n") == [line]


@pytest.mark.parametrize(("path", "old"), RENAMED_VALUES)
def test_the_new_value_is_one_of_the_key(path: str, old: str) -> None:
    section, _, key = path.partition(".")
    StudyConfig.model_validate({"study": "a", section: {key: RENAMED_VALUES[path, old].value}})
