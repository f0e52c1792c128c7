"""What the rules learn about a study, without Snakemake."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import ROOT, TINY, study
from pipeline.provenance.rerun_folder import begun
from results.record_parts import failed_load

from llenergymeasure.config import StudyError
from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.pipeline.provenance.rerun_source import RerunError
from llenergymeasure.pipeline.run.beginning import begin, check_devices, print_summary
from llenergymeasure.pipeline.run.call import Machine, SnakemakeCall, targets_on_command_line
from llenergymeasure.pipeline.run.mistakes import mistakes_end_the_call
from llenergymeasure.pipeline.run.study_run import StudyRun
from llenergymeasure.processes import inherited
from llenergymeasure.records.schema import SCHEMA_VERSION
from llenergymeasure.records.storage.atomic import write_json
from llenergymeasure.records.study.interim import InterimAnalysis
from llenergymeasure.records.study.plan import PlanError, read_plan

MATRIX = {"pytorch.attn_implementation": ["sdpa", "eager"], "pytorch.batch_size": [1, 2]}
STUDY = study(matrix=MATRIX, measurement={"replicates": 2, "min_window_s": 0.3})
FROM = {"from": "results/quick"}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def interim(replicates: int, *, done: bool) -> InterimAnalysis:
    return InterimAnalysis(
        schema_version=SCHEMA_VERSION,
        replicates=replicates,
        metric="energy_per_output_token_j",
        target_relative_ci=0.05,
        nominal_level=0.98,
        widest=None,
        experiments=(),
        replicate_s=1.0,
        done=done,
        reason="precise" if done else None,
    )


def opened(config: dict[str, Any] | None = None, **call: Any) -> StudyRun:
    """The run of a study whose file is `study.yaml`."""
    config = STUDY if config is None else config
    Path("study.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return StudyRun.open(SnakemakeCall(config, ROOT, (Path("study.yaml").absolute(),), **call))


def test_opening_a_study_writes_nothing() -> None:
    run = opened()
    assert (run.study.name, len(run.index.setups), len(run.index.order), run.warnings) == ("quick", 2, 4, ())
    assert sorted(path.name for path in Path().iterdir()) == ["study.yaml"]


def test_a_begun_study_is_opened_as_planned_and_grows_at_the_end() -> None:
    first = opened()
    begin(first)
    assert read_plan(Path("results/quick/plan.json")) == first.plan
    assert Path("results/quick/provenance/study.yaml").read_bytes() == Path("study.yaml").read_bytes()
    again = opened()
    assert (again.plan, again.plan_before) == (first.plan, first.plan)
    wider = opened(study(matrix={**MATRIX, "pytorch.batch_size": [1, 2, 3]}, measurement=STUDY["measurement"]))
    assert list(wider.index.order[:4]) == list(first.index.order)
    assert len(wider.index.order) == 8
    # As if nothing had been measured yet.
    assert opened(targets=frozenset({"replan"})).plan_before is None


@pytest.mark.parametrize(
    ("old", "targets"), [("plan.json", frozenset({"replan"})), ("plan/index.json", frozenset[str]())]
)
def test_results_of_another_schema_are_refused_before_anything_is_written(old: str, targets: frozenset[str]) -> None:
    """Also by `replan`, which does not read the old plan; and where the plan alone was deleted."""
    path = Path("results/quick") / old
    path.parent.mkdir(parents=True)
    path.write_text('{"schema_version": 2}', encoding="utf-8")
    with pytest.raises(PlanError, match="move results/quick away, or delete it, and run again; or use the version"):
        opened(targets=targets)
    assert [item for item in Path("results").rglob("*") if item.is_file()] == [path]


def test_every_mistake_of_a_study_is_a_line_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = study(defaults={"batchsize": 4}, measurement={"replicates": "three"})
    with pytest.raises(SystemExit) as ended, mistakes_end_the_call():
        opened(wrong)
    assert ended.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("study.yaml:") for line in lines)
    assert "measurement.replicates: is" in lines[0] and "defaults.batchsize: is not a setting" in lines[1]


def test_of_several_files_the_last_is_the_one_with_the_lines() -> None:
    Path("first.yaml").write_text("study: quick\n", encoding="utf-8")
    Path("last.yaml").write_text("\n\nmesurement: {}\n", encoding="utf-8")
    files = (Path("first.yaml").absolute(), Path("last.yaml").absolute())
    with pytest.raises(StudyError, match=r"^last\.yaml:3: mesurement: "):
        StudyRun.open(SnakemakeCall({**STUDY, "mesurement": {}}, ROOT, files))


def test_without_a_file_the_study_is_the_default_one() -> None:
    call = SnakemakeCall(yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8")), ROOT)
    run = StudyRun.open(call)
    assert run.call.study_files == (ROOT / "config/config.yaml",)
    assert run.warnings[0] == "default: 2 warnings; the study runs anyway"


def test_a_model_is_made_once_and_needs_its_folder_no_more() -> None:
    folder = study(defaults={"model": "./mine"})
    with pytest.raises(StudyError, match="there is no folder"):
        opened(folder)
    Path("results/models", parse_model_ref("./mine").key(None)).mkdir(parents=True)
    assert opened(folder).plan is not None


def test_models_need_no_pins_while_they_are_pinned() -> None:
    on_a_hub = study(defaults={"model": "some-org/some-model"})
    with pytest.raises(StudyError, match="snakemake pin"):
        opened(on_a_hub)
    run = opened(on_a_hub, targets=frozenset({"pin"}))
    assert run.warnings == ()
    begin(run)
    assert not Path("results/quick/plan.json").exists()


def test_the_targets_are_whole_words_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["pin", "-n", "replan", "--config", "study=rerun"])
    assert targets_on_command_line() == {"replan"}


# A rerun.


def test_a_rerun_has_the_plan_and_the_pins_of_what_it_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    before = begun(Path("results/quick"))
    same = StudyRun.open(SnakemakeCall({**FROM, "order": "same"}, ROOT, targets=frozenset({"rerun"})))
    assert same.plan is not None
    assert {**same.plan.to_dict(), "study": "quick"} == before.to_dict()
    run = StudyRun.open(SnakemakeCall(FROM, ROOT, targets=frozenset({"rerun"})))
    assert run.plan is not None and run.rerun is not None
    assert sorted(run.plan.order) == sorted(before.order) and run.plan.seed != before.seed
    assert run.paths.results == "results/quick-rerun"
    assert run.models_lock == Path("results/quick/provenance/models.lock.yaml")
    for name in (inherited.WORKERS, inherited.ENVIRONMENTS, inherited.SNAKEMAKE, inherited.EXPERIMENT_TIMEOUT):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv(inherited.MODELS_LOCK, "")
    run.tell_jobs()
    assert os.environ[inherited.MODELS_LOCK] == "results/quick-rerun/provenance/models.lock.yaml"
    # Nothing is there to compare with, and that is said.
    assert run.compared_with is None
    assert "results/quick has no tables to compare with (0 of 4 measurements exist)" in run.warnings[0]
    for name in ("summary.parquet", "runs.parquet"):
        Path("results/quick", name).touch()
    finished = StudyRun.open(SnakemakeCall(FROM, ROOT))
    assert (finished.compared_with, finished.warnings) == (Path("results/quick"), ())


@pytest.mark.parametrize(
    ("config", "target", "says"),
    [
        (STUDY, "rerun", "rerun: which study?"),
        (FROM, "pin", "a rerun uses its own pins and plan"),
        (FROM, "replan", "a rerun uses its own pins and plan"),
        ({"from": "results/other"}, "rerun", "there is no folder results/other"),
    ],
)
def test_a_wrong_call_of_rerun_is_refused(config: dict[str, Any], target: str, says: str) -> None:
    with pytest.raises(RerunError, match=says.replace("?", r"\?")):
        StudyRun.open(SnakemakeCall(config, ROOT, targets=frozenset({target})))


def test_a_rerun_does_not_mix_two_contents_of_a_file() -> None:
    data = Path("texts.jsonl")
    data.write_text('{"text": "one"}\n' * 3, encoding="utf-8")
    begun(Path("results/quick"), defaults={"dataset": {"source": "file", "path": str(data), "column": "text"}})
    begin(StudyRun.open(SnakemakeCall(FROM, ROOT)))
    data.write_text('{"text": "other"}\n' * 3, encoding="utf-8")
    with pytest.raises(PlanError) as caught:
        StudyRun.open(SnakemakeCall(FROM, ROOT))
    changed, *_, remedy = str(caught.value).splitlines()
    assert changed.startswith("texts.jsonl has changed since the plan was drawn")
    assert remedy == "a rerun does not mix them: give it another name with --config study=…"


# A cluster's node.


def test_a_node_reads_the_index_and_expands_nothing() -> None:
    quantized = study(defaults={"pytorch": {"load_in_4bit": True}})
    main = opened(quantized)
    begin(main)
    Path("results/quick/plan.json").unlink()
    node = opened({**quantized, "matrix": {"no.such.setting": [1]}}, is_main_process=False)
    assert (node.plan, node.warnings) == (None, ())
    assert (node.index.digest, node.index.setups) == (main.index.digest, main.index.setups)
    assert list(node.index.order) == list(main.index.order)
    assert node.study.measurement == main.study.measurement
    assert node.paths.measurements == main.paths.measurements
    # What a job needs that is not in the index is in its piece of the plan.
    key, recipe = str(next(iter(main.index.setups.values())).quantized).split(".quantized-")
    wildcards = {"key": key, "recipe": recipe}
    assert node.params.quantizing_settings(wildcards) == main.params.quantizing_settings(wildcards) is not None


def test_a_node_without_a_plan_says_so() -> None:
    with pytest.raises(PlanError, match="results/quick/plan does not contain an index"):
        opened(is_main_process=False)


# What the rules ask.


def test_a_setup_reads_its_snapshots_its_prompts_and_its_quantized_weights() -> None:
    run = opened(study(matrix={"pytorch.load_in_4bit": [None, True]}))
    key = parse_model_ref(TINY).key(None)
    inputs = {setup.quantized: run.inputs.sources({"setup_id": name}) for name, setup in run.index.setups.items()}
    plain = {"model": f"results/models/{key}", "prompts": f"results/quick/prompts/{key}.json"}
    assert inputs.pop(None) == plain
    ((quantized, other),) = inputs.items()
    assert other == {**plain, "quantized": f"results/models/{quantized}"}
    # A job that has a session, or makes the weights, has a setup as well.
    for session_id, session in run.index.sessions.items():
        assert run.inputs.sources({"session_id": session_id}) == run.inputs.sources({"setup_id": session.setup_id})
        assert (
            run.inputs.load_record({"session_id": session_id}) == f"results/quick/setups/{session.setup_id}/load.json"
        )
    (maker,) = (name for name, setup in run.index.setups.items() if setup.quantized)
    wildcards = dict(zip(("key", "recipe"), str(quantized).split(".quantized-"), strict=True))
    assert run.index.setup_of_job(wildcards) == maker


def test_files_of_sessions_are_in_the_order_of_the_plan() -> None:
    run = opened()
    wanted = [f"results/quick/sessions/{session}/{replicate}/power.parquet" for session, replicate in run.index.order]

    def no_interim_analysis(replicates: int) -> str:
        raise AssertionError(replicates)

    assert run.inputs.of_all_replicates(run.paths.power, no_interim_analysis) == wanted
    assert run.inputs.last_interim(no_interim_analysis) == []
    assert run.inputs.of_first_replicates(run.paths.power, 1) == wanted[:2]
    order = [{"session_id": session, "replicate": str(replicate)} for session, replicate in run.index.order]
    assert [run.priorities.measure(wildcards) for wildcards in order] == [4, 3, 2, 1]
    assert run.priorities.measure(order[0]) < run.priorities.warmup < run.priorities.load < run.priorities.quantize
    assert run.priorities.quantize < run.priorities.model < run.priorities.validate


def test_a_study_that_names_a_precision_continues_until_an_interim_analysis_ends_it() -> None:
    run = opened(study(measurement={"replicates": 3, "target_relative_ci": 0.05, "max_replicates": 9}))
    asked: list[int] = []

    def interim_record(replicates: int) -> str:
        asked.append(replicates)
        path = Path(f"{replicates}.json")
        write_json(interim(replicates, done=replicates == 5).to_plain(), path)
        return str(path)

    assert len(run.inputs.of_all_replicates(run.paths.requests, interim_record)) == 5
    assert asked == [3, 4, 5]
    assert run.inputs.last_interim(interim_record) == ["results/quick/interim/5.json"]


def test_a_broken_interim_analysis_is_one_line_with_what_to_do() -> None:
    run = opened(study(measurement={"replicates": 3, "target_relative_ci": 0.05, "max_replicates": 9}))
    Path("3.json").write_text("{", encoding="utf-8")
    with pytest.raises(PlanError, match=r"^3\.json is not whole .*; delete it and run again$"):
        run.inputs.last_interim(lambda replicates: f"{replicates}.json")


def test_a_setup_is_loaded_again_where_its_folder_has_other_weights() -> None:
    Path("mine").mkdir()
    Path("mine/config.json").write_text("{}", encoding="utf-8")
    Path("mine/model.safetensors").write_bytes(b"weights")
    run = opened(study(defaults={"model": "./mine"}))
    ((setup_id, setup),) = run.index.setups.items()
    assert run.params.snapshot_recipe({"key": setup.model_key})["content"] == setup.contents["model"]
    assert run.params.setup_contents({"setup_id": setup_id}) == setup.contents
    path = Path(run.paths.load_record.format(setup_id=setup_id))
    assert not run.inputs.loaded_as_planned(setup_id)
    path.parent.mkdir(parents=True)
    write_json(failed_load(setup_id, dict(setup.contents)).to_plain(), path)
    assert run.inputs.loaded_as_planned(setup_id)
    write_json(failed_load(setup_id, {"model": "0" * 64}).to_plain(), path)
    assert not run.inputs.loaded_as_planned(setup_id)
    path.write_text("{", encoding="utf-8")
    assert not run.inputs.loaded_as_planned(setup_id)


# Devices and cores.


def test_alone_on_a_machine_a_job_holds_all_of_it() -> None:
    run = opened(machine=Machine.local(cores=8, devices=None, quiet=None))
    assert (run.shares.devices, run.shares.threads, run.call.machine.quiet) == (1, 8, 1)


def test_side_by_side_a_job_holds_what_its_setup_claims_and_its_share_of_the_cores() -> None:
    apart = study(matrix={"pytorch.devices": [None, 2]})
    run = opened(apart, machine=Machine.local(cores=8, devices=4, quiet=None))
    assert callable(run.shares.devices) and callable(run.shares.threads)
    shares = {
        setup.devices: (run.shares.devices({"setup_id": name}), run.shares.threads({"setup_id": name}))
        for name, setup in run.index.setups.items()
    }
    assert shares == {1: (1, 2), 2: (2, 4)}
    alone = opened({**apart, "measurement": {"exclusive_node": True}}, machine=run.call.machine)
    assert (alone.shares.devices, alone.shares.threads) == (4, 8)


def test_on_a_cluster_the_scheduler_decides() -> None:
    run = opened(study(matrix={"pytorch.devices": [None, 2]}), machine=Machine(is_local=False))
    assert callable(run.shares.devices)
    assert {run.shares.devices({"setup_id": name}) for name in run.index.setups} == {1, 2}
    assert run.shares.threads == 1
    check_devices(run)


def test_the_summary_is_printed_where_everything_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    run = opened()
    Path(run.paths.results).mkdir(parents=True)
    Path(run.paths.summary_text).write_text("study: quick\n", encoding="utf-8")
    print_summary(run)
    assert capsys.readouterr().err == ""
    for path in run.inputs.of_first_replicates(run.paths.measurements, 2):
        Path(path).parent.mkdir(parents=True)
        Path(path).touch()
    print_summary(run)
    assert capsys.readouterr().err.splitlines() == ["", "study: quick", ""]
