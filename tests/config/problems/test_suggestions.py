"""What a mistake is answered with: the library's own keyword first, then the spelling; patterns in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydantic.fields import FieldInfo

from llenergymeasure.config import CostsConfig, MeasurementConfig, StudyConfig
from llenergymeasure.config.settings.base import InWords
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import is_leaf, leaves
from llenergymeasure.config.study.suggestions import OTHER_NAMES, suggest, suggest_key

Refuse = Callable[..., list[str]]
HEAD = "study: a\ndefaults:\n  model: 'random:llama'\n"


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("max_new_tokens", "write max_output_tokens, which sets it"),
        ("decoder.max_new_tokens", "write max_output_tokens, which sets it"),
        ("max_length", "write max_output_tokens, which sets it"),
        ("dtype", "write precision, which sets it"),
        ("torch_dtype", "write precision, which sets it"),
        ("pytorch.torch_dtype", "write precision, which sets it"),
        ("seed", "write random_seed, which sets it"),
        ("manual_seed", "write random_seed, which sets it"),
        ("num_threads", "did you mean cpu_threads?"),
        ("set_num_threads", "write cpu_threads, which sets it"),
        ("pytorch.backend", "write pytorch.torch_compile_backend, which sets it"),
        ("quantization", "write pytorch.quantization_config, which sets it"),
        ("tensor_parallel_size", "write pytorch.tp_size, which sets it"),
        ("load_in_4bit", "did you mean pytorch.load_in_4bit?"),
        ("do_sample", "did you mean decoder.do_sample?"),
        ("attn_implementation", "did you mean pytorch.attn_implementation?"),
        ("decoder.attn_implementation", "did you mean pytorch.attn_implementation?"),
        ("max_new_token", "did you mean max_output_tokens?"),
        ("pytorch.attn_implementaton", "did you mean pytorch.attn_implementation?"),
        ("replicates", "did you mean measurement.replicates?"),
        ("currency", "did you mean costs.currency?"),
        ("matrix", "did you mean matrix?"),
        ("xyzzy", None),
    ],
)
def test_a_key_of_an_experiment(written: str, answer: str | None) -> None:
    assert suggest(written) == answer


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("max_new_tokens", "write defaults.max_output_tokens, which sets it"),
        ("measurement.max_new_tokens", "write defaults.max_output_tokens, which sets it"),
        ("measurement.batch_size", "did you mean defaults.pytorch.batch_size?"),
        ("replicates", "did you mean measurement.replicates?"),
        ("costs.replicates", "did you mean measurement.replicates?"),
        ("measurement.replicate", "did you mean measurement.replicates?"),
        ("mesurement", "did you mean measurement?"),
        ("invlid", "did you mean invalid?"),
        ("max_output_token", "did you mean defaults.max_output_tokens?"),
        ("xyzzy", None),
    ],
)
def test_a_key_of_the_study(written: str, answer: str | None) -> None:
    assert suggest_key(written) == answer


def test_every_keyword_of_the_library_leads_to_its_setting() -> None:
    for path, item in parameters().items():
        answer = suggest(item.keyword) if item.keyword.isidentifier() else None
        # Two settings may have one keyword, for the model and for its adapter.
        same = [other.path for other in parameters().values() if other.keyword == item.keyword]
        assert answer is None or any(setting in answer for setting in same) or is_leaf(item.keyword), path


def test_the_other_names_lead_to_settings() -> None:
    assert all(is_leaf(path) for path in OTHER_NAMES.values())


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("study: größe\n", 'study: is "größe"; expected: up to 64 letters (a to z), digits, dots, dashes'),
        ("study: team/run1\n", 'study: is "team/run1"; expected: up to 64 letters (a to z), digits, dots, dashes'),
        ("study: 2026\n", "such as my-study (YAML reads this as a number; put it in quotes) [wrong-value]"),
        ("study: 007\n", "such as my-study (YAML reads this as a number; put it in quotes) [wrong-value]"),
        ("study: 1.5\n", "such as my-study (YAML reads this as a number; put it in quotes) [wrong-value]"),
        ("study: on\n", "such as my-study (YAML reads this as true; put it in quotes) [wrong-value]"),
        ("measurement: {min_window_s: 2e-1}\n", "(YAML reads 2e-1 as text; write 0.2)"),
        ("measurement: {replicates: '3'}\n", 'is "3"; expected: a whole number, from 1 to 1000 (without the quotes)'),
        ("measurement: {order: wiliams}\n", "(did you mean williams?)"),
        ("costs: {pue: 1e0}\n", "(YAML reads 1e0 as text; write 1.0)"),
        ("costs: {currency: euro, country_iso_code: DEU}\n", "expected: three capital letters, such as EUR"),
        ("invalid: skipp\n", "expected: one of stop, skip (did you mean skip?)"),
        (
            "include:\n  - dataset: {source: hub, name: a/b, revision: a b}\n",
            "expected: a branch, a tag or a commit",
        ),
        ("include:\n  - dataset: {source: hub, name: squad}\n", "expected: a data set's full name, org/name"),
        (
            "include:\n  - dataset: {source: file, path: 2026}\n",
            "expected: the name of a file, or a list of such names",
        ),
    ],
)
def test_a_value_is_answered_in_words(refuse: Refuse, text: str, answer: str) -> None:
    head = HEAD.removeprefix("study: a\n") if text.startswith("study") else HEAD
    lines = refuse(head + text)
    assert any(answer in line for line in lines), lines
    assert not any("^" in line for line in lines)


def patterned() -> Iterator[tuple[str, FieldInfo]]:
    models = {"study": StudyConfig, "measurement": MeasurementConfig, "costs": CostsConfig}
    for name, model in models.items():
        yield from ((f"{name}.{key}", field) for key, field in model.model_fields.items())
    yield from ((path, leaf.field) for path, leaf in leaves().items())


def test_every_pattern_has_words() -> None:
    with_pattern = {path: field for path, field in patterned() if "pattern=" in repr(field.metadata)}
    assert {"study.study", "costs.currency"} <= set(with_pattern)
    for path, field in with_pattern.items():
        assert any(isinstance(item, InWords) for item in field.metadata), path


def test_what_a_merge_brings_has_a_line(refuse: Refuse) -> None:
    shared = "shared: &shared\n  n: 5\n  pytorch: &inner\n    batchsize: 2\n"
    lines = refuse(f"{shared}study: a\ndefaults:\n  <<: *shared\n  model: 'random:llama'\nmatrix: {{n_prompts: [1]}}\n")
    assert "study.yaml:2: defaults.n: was renamed in version 0.2.0: write n_prompts [renamed-key]" in lines
    assert any(line.startswith("study.yaml:4: defaults.pytorch.batchsize: is not a setting") for line in lines)


def test_a_key_beside_a_merge_keeps_its_own_line(refuse: Refuse) -> None:
    shared = "shared: &shared {n_prompts: 5}\nother: &other {n_prompts: 6}\n"
    (line,) = (
        line
        for line in refuse(
            f"{shared}study: a\ndefaults:\n  <<: [*shared, *other]\n  model: 'random:llama'\n  n_prompts: 0\n"
        )
        if "n_prompts" in line
    )
    assert line.startswith("study.yaml:7: defaults.n_prompts: is 0")
