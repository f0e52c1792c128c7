"""The prompts stage: a real tokenizer in a bounded process, no device, and a record that the worker is held to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from harness import QUICK, TINY
from transformers import AutoTokenizer

from llenergymeasure.config import StudyError
from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.config.study.study import study_from_mapping
from llenergymeasure.measurement.prompts.prompts import build_prompts
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.snapshot import Snapshot, materialise
from llenergymeasure.pipeline.plan.plan import plan_from_study
from llenergymeasure.pipeline.prompt_check import check_prompts, checked_prompts, context_warnings
from llenergymeasure.records.study.checks import CheckedSet, PromptCheck
from llenergymeasure.records.study.plan import Plan

LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{{ messages[0].content }}"
GROWS = (
    "{% set ns = namespace(x='x' * 1000000) %}{% for a in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"
    "{{ messages[0].content }}"
)


class Bench:
    """A model folder, which a test changes, its snapshot, and a study of it."""

    def __init__(self, root: Path, made: Path) -> None:
        self.root = root
        self.folder = Path(shutil.copytree(made, root / "model"))
        (self.folder / "snapshot.json").unlink()

    def plan(self, *experiments: dict[str, Any], **changes: Any) -> Plan:
        defaults = {**QUICK["defaults"], "model": str(self.folder)}
        study = {"study": "s", "defaults": defaults, "experiments": list(experiments), **changes}
        if not experiments:
            del study["experiments"]
        return plan_from_study(study_from_mapping(study), existing=None)

    def snapshot(self) -> Snapshot:
        ref = parse_model_ref(str(self.folder))
        return materialise(ref, None, self.root / "snapshots" / ref.key(None), lock=ModelsLock())

    def check(self, plan: Plan, **more: Any) -> PromptCheck:
        return check_prompts(plan, self.snapshot().path, log=self.root / "log", **more)


@pytest.fixture
def bench(tmp_path: Path, snapshot: Path) -> Bench:
    return Bench(tmp_path, snapshot)


def test_every_set_is_checked_once_and_its_digest_is_that_of_the_worker(bench: Bench) -> None:
    plan = bench.plan({"pytorch": {"batch_size": 1}}, {"pytorch": {"batch_size": 2}}, {"n_prompts": 2})
    record = bench.check(plan)
    assert sorted(item.experiments for item in record.sets.values()) == [1, 2]
    assert record.problems == ()
    assert record.embedding_rows == 300
    tokenizer = AutoTokenizer.from_pretrained(bench.folder, padding_side="left")
    for entry in plan.experiments.values():
        config = study_from_mapping({"study": "s", "defaults": entry.config}).expand()[0]
        given = {"max_input_tokens": config.max_input_tokens, "tokenizer": tokenizer, "seed": config.random_seed}
        wanted = build_prompts(config.dataset, n=config.n_prompts, **given)  # type: ignore[arg-type]
        experiments = 2 if config.n_prompts == 3 else 1
        longest = max(len(prompt.input_ids) for prompt in wanted.prompts)
        assert checked_prompts(record, entry, bench.root) == CheckedSet(
            digest=wanted.digest, failure=None, experiments=experiments, longest=longest
        )


@pytest.mark.parametrize(
    ("template", "what"),
    [(LOOPS, "rendering and encoding it takes longer than 2 s"), (GROWS, "takes more than 2 GiB of memory")],
)
def test_a_template_that_loops_or_fills_memory_ends_in_a_line(bench: Bench, template: str, what: str) -> None:
    (bench.folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    plan = bench.plan({"dataset": {"chat_template": True}}, {"dataset": {"chat_template": False}}, invalid="skip")
    record = bench.check(plan, prompt_s=2 if template == LOOPS else 60)
    bad, good = (checked_prompts(record, entry, bench.root) for entry in plan.experiments.values())
    assert bad.failure is not None
    assert what in bad.failure.reason
    assert "\n" not in bad.failure.reason
    assert (bad.failure.stage, bad.failure.error_class) == ("prompts", "PromptError")
    assert good.failure is None
    assert good.digest


def test_a_template_that_drops_the_text_ends_the_study_before_anything_is_loaded(bench: Bench) -> None:
    (bench.folder / "chat_template.jinja").write_text("user\nassistant:", encoding="utf-8")
    with pytest.raises(StudyError) as error:
        bench.check(bench.plan())
    (problem,) = error.value.problems
    assert problem.severity == "error"
    assert "does not print the text of a message; set dataset.chat_template: false" in problem.message


def test_a_token_that_the_embedding_has_no_row_for(bench: Bench) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bench.folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<turn{place}>" for place in range(60)]})
    tokenizer.chat_template = "<turn59>{{ messages[0].content }}"
    tokenizer.save_pretrained(bench.folder)
    with pytest.raises(StudyError, match=r"built-in prompt .*: its token '<turn59>' has the id \d+, but the model's"):
        bench.check(bench.plan())


def test_padding_outside_the_embedding_is_a_warning(bench: Bench) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bench.folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<turn{place}>" for place in range(60)]})
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(bench.folder)
    (problem,) = bench.check(bench.plan()).problems
    assert problem.severity == "warning"
    assert "padding token '[PAD]' has the id" in problem.message
    assert "batches are padded with id" in problem.message


GPT2 = "random:gpt2?n_embd=32&n_layer=1&n_head=2&vocab_size=300&n_positions=64"
LLAMA = f"{TINY}&max_position_embeddings=64"


def limited(tmp_path: Path, model: str, *experiments: dict[str, Any], **changes: Any) -> tuple[Plan, Any]:
    """A study of a model with 64 positions, and its check."""
    ref = parse_model_ref(model)
    snapshot = materialise(ref, None, tmp_path / "snapshots" / ref.key(None), lock=ModelsLock())
    defaults = {**QUICK["defaults"], "model": model, "dataset": {"source": "synthetic", "tokens": 40}}
    plan = plan_from_study(
        study_from_mapping({"study": "s", "defaults": defaults, "experiments": list(experiments), **changes}),
        existing=None,
    )
    return plan, lambda: check_prompts(plan, snapshot.path, log=tmp_path / "log")


def test_a_table_of_positions_that_is_too_short_ends_the_study_before_anything_is_loaded(tmp_path: Path) -> None:
    _, check = limited(tmp_path, GPT2, {"max_input_tokens": 40, "max_output_tokens": 26})
    with pytest.raises(StudyError) as error:
        check()
    (problem,) = error.value.problems
    assert problem.path == "max_output_tokens"
    assert "has 40 tokens and max_output_tokens is 26, which takes 65 positions; the model has 64" in problem.message
    assert "max_output_tokens to 25 or less or max_input_tokens to 39 or less" in problem.message


def test_experiments_within_the_table_are_measured_where_others_are_skipped(tmp_path: Path) -> None:
    settings = ({"max_output_tokens": 25}, {"max_output_tokens": 26})
    plan, check = limited(tmp_path, GPT2, *({"max_input_tokens": 40, **more} for more in settings), invalid="skip")
    record = check()
    fits, exceeds = (checked_prompts(record, entry, tmp_path) for entry in plan.experiments.values())
    assert fits.failure is None
    assert exceeds.failure is not None and exceeds.failure.error_class == "PositionsMissing"


def test_rotary_positions_go_on_with_a_warning(tmp_path: Path) -> None:
    plan, check = limited(tmp_path, LLAMA, {"max_input_tokens": 40, "max_output_tokens": 26})
    record = check()
    (problem,), (entry,) = record.problems, plan.experiments.values()
    assert (problem.severity, problem.rule) == ("warning", "positions-untrained")
    assert checked_prompts(record, entry, tmp_path).failure is None
    assert [item["code"] for item in context_warnings(record, entry)] == ["positions-untrained"]


def test_a_tokenizer_that_cannot_be_read_is_left_to_the_load(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    (bench.folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    plan = bench.plan()
    (checked,) = bench.check(plan).sets.values()
    assert (checked.digest, checked.failure) == (None, None)
    assert "the tokenizer cannot be read, so no prompt is checked: " in capfd.readouterr().err


def test_a_data_file_that_changes_meanwhile(bench: Bench) -> None:
    data = bench.root / "a.jsonl"
    data.write_text('{"text": "one"}\n' * 3, encoding="utf-8")
    study = {"dataset": {"source": "file", "path": str(data), "column": "text"}}
    plan = bench.plan(study)
    (entry,) = plan.experiments.values()
    entry.inputs["dataset"] = "0" * 64  # type: ignore[index]
    with pytest.raises(StudyError, match=r"a\.jsonl has changed since this call began"):
        bench.check(plan)


def test_a_snapshot_of_other_files_than_planned(bench: Bench) -> None:
    plan = bench.plan()
    (entry,) = plan.experiments.values()
    entry.inputs["model"] = "0" * 64  # type: ignore[index]
    with pytest.raises(SnapshotError, match=r"does not contain what .* contained when this call began"):
        bench.check(plan)
