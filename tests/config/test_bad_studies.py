"""One line per mistake: file, line, key path, what is wrong, what would be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from llenergymeasure.config import StudyError, load_study, study_from_mapping, study_without_experiments

Refuse = Callable[..., list[str]]
HEAD = """
study: a
defaults:
  model: random:llama?seed=7
"""


def test_everything_wrong_is_listed_at_once(refuse: Refuse) -> None:
    lines = refuse(
        """
        study: my study
        n_prompts: 3
        defaults:
          model: org
          precision: fp23
          max_output_tokens: "8"
          pytorch:
            num_beam: 3
            length_penalty: 1e-1
          decoder.temprature: 3
        matrix:
          pytorch.numbeams: [2, 4]
          decoder.top_p: [1, .nan, 3]
          n_prompts: 8
          pytorch.use_cache: []
        measurement:
          replicates: true
          sed: 3
        invlid: skip
        """
    )
    expected = [
        'study.yaml:1: study: is "my study"; expected: up to 64 letters (a to z), digits, dots, dashes and ',
        "study.yaml:2: n_prompts: is not a key of a study; did you mean defaults.n_prompts?",
        "study.yaml:4: defaults.model: 'org' is not a full model name; write org/name",
        'study.yaml:5: defaults.precision: is "fp23"; expected: one of fp32, fp16, bf16 (did you mean fp32?)',
        'study.yaml:6: defaults.max_output_tokens: is "8"; expected: a whole number, 1 or more (without the quotes)',
        "study.yaml:8: defaults.pytorch.num_beam: is not a setting; did you mean pytorch.num_beams?",
        'study.yaml:9: defaults.pytorch.length_penalty: is "1e-1"; expected: a number (YAML reads 1e-1 as text; write',
        "study.yaml:10: defaults.decoder.temprature: is not a setting; did you mean decoder.temperature?",
        "study.yaml:12: matrix.pytorch.numbeams: is not a setting; did you mean pytorch.num_beams?",
        "study.yaml:13: matrix.decoder.top_p[1]: is NaN; expected: a number, from 0.0 to 1.0",
        "study.yaml:13: matrix.decoder.top_p[2]: is 3; expected: a number, from 0.0 to 1.0",
        "study.yaml:14: matrix.n_prompts: is 8; expected: a list of values, such as [8]",
        "study.yaml:15: matrix.pytorch.use_cache: has no values",
        "study.yaml:17: measurement.replicates: is true; expected: a whole number, from 1 to 1000",
        "study.yaml:18: measurement.sed: is not a setting; did you mean measurement.seed?",
        "study.yaml:19: invlid: is not a setting; did you mean invalid?",
    ]
    for start in expected:
        assert sum(line.startswith(start) for line in lines) == 1, (start, lines)
    assert len(lines) == len(expected)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("batchsize: 2", "did you mean pytorch.batch_size?"),
        ("temperature: 2", "did you mean decoder.temperature?"),
        ("torch_compile: true", "did you mean pytorch.torch_compile?"),
        ("decoder.do_samples: true", "did you mean decoder.do_sample?"),
        ("pytorh: {batch_size: 2}", "did you mean pytorch?"),
        ("decoder: {num_beams: 2}", "did you mean pytorch.num_beams?"),
        ("passthrough_kwargs: {generation: {}}", "did you mean passthrough_kwargs.generate?"),
    ],
)
def test_nearest_name(refuse: Refuse, written: str, meant: str) -> None:
    (line,) = refuse(f"{HEAD}  {written}\n")
    assert meant in line and line.startswith("study.yaml:4: defaults.") and line.endswith("[unknown-key]")


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("study: a\nstudy: b\n", "duplicate-key", 2),
        (f"{HEAD}  n_prompts: 1\n  n_prompts: 2\n", "duplicate-key", 5),
        (f"{HEAD}  pytorch: {{use_cache: true}}\n  pytorch.use_cache: true\n", "duplicate-key", 5),
        ("study: [a\n", "study-unreadable", 2),
        ("study: a\n\tmatrix: 3\n", "study-unreadable", 2),
        ("", "study-unreadable", None),
        ("- a\n", "study-unreadable", None),
        ("study: &a [*a]\n", "study-unreadable", None),
        ("study: !!python/object/apply:os.system [ls]\n", "study-unreadable", 1),
        (f"{HEAD}matrix: {{1: [2]}}\n", "unknown-key", 4),
        (f"{HEAD}matrix: {{pytorch: {{batch_size: [1]}}}}\n", "wrong-value", 4),
        (f"{HEAD}matrix: {{pytorch: [1]}}\n", "wrong-value", 4),
        (f"{HEAD}matrix: {{pytorch: [{{}}, {{batchsize: 1}}]}}\n", "unknown-key", 4),
        (f"{HEAD}matrix:\n  pytorch.use_cache: [true]\n  pytorch: [{{use_cache: false}}]\n", "axes-overlap", 6),
        (f"{HEAD}exclude: [{{}}]\n", "exclude-empty", 4),
        (f"{HEAD}exclude: [{{pytorch.beams: 1}}]\n", "unknown-key", 4),
        (f"{HEAD}matrix: {{n_prompts: [1]}}\nexclude: [{{n_prompts: 1}}]\n", "no-experiments", None),
        (f"{HEAD}  pytorch: 3\n", "wrong-value", 4),
        (f"{HEAD}experiments: {{n_prompts: 1}}\n", "wrong-value", 4),
        (f"{HEAD}experiments: [3]\n", "wrong-value", 4),
        ("study: a\n", "missing-key", None),
        ("defaults: {model: random:llama}\n", "missing-key", None),
        ("study: ../../etc\ndefaults: {model: random:llama}\n", "wrong-value", 1),
        ("study: 2026\ndefaults: {model: random:llama}\n", "wrong-value", 1),
    ],
)
def test_each_mistake_is_one_line(refuse: Refuse, text: str, rule: str, line: int | None) -> None:
    (message,) = refuse(text.lstrip("\n"))
    assert message.endswith(f"[{rule}]")
    assert message.startswith(f"study.yaml:{line}: " if line else "study.yaml: "), message


def test_missing_file_and_wrong_encoding(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_study(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes("study: é".encode("latin-1"))
    with pytest.raises(StudyError, match="not UTF-8"):
        load_study(tmp_path / "latin.yaml")


def test_json_indented_with_tabs_is_read_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(
        '{\n\t"study":\t"a",\n\t"defaults": {"model": "random:llama", "n_prompts": 0}\n}'
    )
    with pytest.raises(
        StudyError, match=r"study\.json:3: defaults\.n_prompts: is 0; expected: a whole number, 1 or more"
    ):
        load_study(tmp_path / "study.json")


def test_aliases_that_explode_are_refused(refuse: Refuse) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    (line,) = refuse(bomb)
    assert "with its aliases it has more than" in line


def test_the_same_mistake_in_many_points_is_one_line_with_a_count(refuse: Refuse) -> None:
    lines = refuse(
        f"""{HEAD}  pytorch: {{prompt_lookup_num_tokens: 3}}
matrix:
  pytorch.batch_size: [1, 2]
  n_prompts: [{", ".join(map(str, range(10, 110)))}]
"""
    )
    assert len(lines) == 1
    assert lines[0].startswith("study.yaml:4: defaults.pytorch.prompt_lookup_num_tokens: 3 needs pytorch.batch_size: 1")
    assert "(100 of 200 points)" in lines[0]
    assert lines[0].endswith("[prompt-lookup-needs-single-batch]")


def test_a_rule_in_the_matrix_names_path_and_value(refuse: Refuse) -> None:
    (line,) = refuse(f"{HEAD}  n_prompts: 1\nmatrix:\n  pytorch.num_processes:\n    - 1\n    - 2\n")
    assert line.startswith("study.yaml:8: matrix.pytorch.num_processes[1]: 2 processes share only 1 prompt")


def test_a_rule_about_a_default_is_placed_where_something_was_written(refuse: Refuse) -> None:
    (line,) = refuse(f"{HEAD}  dataset:\n    path: a.csv\n")
    assert line.startswith('study.yaml:5: defaults.dataset.path: dataset.source: "builtin" does not read path')


def test_skip_does_not_hide_typos_or_empty_studies(refuse: Refuse) -> None:
    lines = refuse(f"invalid: skip{HEAD}matrix: {{pytorch.numbeams: [1], n_prompts: [1]}}\n")
    assert [line.rpartition(" ")[2] for line in lines] == ["[unknown-key]"]
    lines = refuse(f"invalid: skip{HEAD}  n_prompts: 1\nmatrix: {{pytorch.num_processes: [2, 3]}}\n")
    assert "all 2 points are invalid" in lines[0] and len(lines) == 3


def test_values_from_the_command_line_are_named_so(write: Callable[[str], Path], tmp_path: Path) -> None:
    path = write(f"{HEAD}  n_prompts: 5\nmatrix: {{max_output_tokens: [1, 2]}}\n")
    mapping: dict[str, Any] = yaml.safe_load(path.read_text())
    mapping["defaults"]["n_prompts"] = 0
    mapping["defaults"]["pytorch"] = {"batch_size": "x"}
    with pytest.raises(StudyError) as caught:
        study_from_mapping(mapping, source=path, lock_path=tmp_path / "lock")
    assert str(caught.value).splitlines() == [
        "--config: defaults.n_prompts: is 0; expected: a whole number, 1 or more [wrong-value]",
        '--config: defaults.pytorch.batch_size: is "x"; expected: a whole number, 1 or more [wrong-value]',
    ]


def test_snakemakes_mappings_are_taken(tmp_path: Path) -> None:
    """Snakemake hands over ordered mappings, and dates where YAML has them."""
    import datetime
    from collections import OrderedDict

    mapping = OrderedDict(
        study=datetime.date(2026, 1, 1), defaults=OrderedDict(model="random:llama"), matrix=None, exclude=None
    )
    made = study_from_mapping(mapping, lock_path=tmp_path / "lock")
    assert made.name == "2026-01-01" and len(made.expand()) == 1


def test_costs_that_do_not_fit_together(refuse: Refuse) -> None:
    lines = refuse(
        HEAD
        + """
costs:
  country_iso_code: DEU
  grid_intensity_kg_per_kwh: 0.4
  electricity_price_per_kwh: 0.3
  pu: 1.2
"""
    )
    assert [line.split(":")[1] for line in lines] == ["9", "7", "8"]
    assert "costs.pu: is not a setting" in lines[0] and "did you mean costs.pue?" in lines[0]
    assert "costs.grid_intensity_kg_per_kwh: is set together with costs.country_iso_code" in lines[1]
    assert "costs.electricity_price_per_kwh: is a price without a currency" in lines[2]


def test_a_country_that_the_table_lacks(refuse: Refuse) -> None:
    (line,) = refuse(HEAD + "costs: {country_iso_code: ZZZ}\n")
    assert "costs.country_iso_code: is 'ZZZ': codecarbon" in line and "such as DEU" in line


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("max_replicates: 9", "measurement.max_replicates: is read only with measurement.target_relative_ci"),
        ("budget_s: 60", "measurement.budget_s: is read only with measurement.target_relative_ci"),
        ("target_metric: ttft_s", "measurement.target_metric: is read only with measurement.target_relative_ci"),
        (
            "{target_relative_ci: 0.01, order: sequential}",
            "measurement.order: sequential measures all replicates of a model setup before the next, so no interim "
            "analysis can cover all; use another order, or a fixed number of replicates",
        ),
        (
            "{target_relative_ci: 0.01, replicates: 2}",
            "measurement.replicates: 2 replicates are too few for a first interim analysis of their spread; "
            "use 3 or more",
        ),
        (
            "{target_relative_ci: 0.01, replicates: 8, max_replicates: 8}",
            "measurement.max_replicates: 8 is not above measurement.replicates, 8; raise it, or remove "
            "measurement.target_relative_ci",
        ),
    ],
)
def test_what_does_not_fit_a_study_that_stops_by_itself(refuse: Refuse, written: str, expected: str) -> None:
    block = written if written.startswith("{") else f"{{{written}}}"
    (line,) = refuse(f"{HEAD}measurement: {block}\n")
    assert expected in line


@pytest.mark.parametrize(
    ("replicates", "batch_sizes", "needed"),
    [(3, [1, 2], 2), (3, [1, 2, 3], 6), (4, [1, 2], None), (6, [1, 2, 3], None)],
)
def test_a_williams_design_that_is_not_balanced_is_a_warning(
    load: Callable[..., Any], replicates: int, batch_sizes: list[int], needed: int | None
) -> None:
    study = load(
        f"{HEAD}matrix: {{pytorch.batch_size: {batch_sizes}}}\n"
        f"measurement: {{order: williams, replicates: {replicates}}}\n"
    )
    warnings = [item for item in study.expansion().warnings if item.rule == "order-unbalanced"]
    assert [item.path for item in warnings] == ([] if needed is None else ["measurement.order"])
    assert all(f"balanced after {needed} replicates, not after {replicates}" in item.message for item in warnings)


def test_a_job_on_a_node_reads_a_study_without_its_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    mapping = {"study": "s", "defaults": {"model": "no model"}, "measurement": {"min_window_s": 7.0}}
    monkeypatch.setattr("llenergymeasure.config.study.study.expand_matrix", None)
    study = study_without_experiments(mapping)
    assert (study.name, study.measurement.min_window_s, study.expand()) == ("s", 7.0, [])
    with pytest.raises(StudyError, match="min_window"):
        study_without_experiments({**mapping, "measurement": {"min_windows": 7.0}})
