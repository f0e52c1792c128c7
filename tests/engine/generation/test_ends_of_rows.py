"""Output tokens end with the first end token or stop string, whoever set it; what follows is padding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from edited_models import model_folder
from engine.conftest import Run, Runner

from llenergymeasure.engine.evidence import speculation_warnings
from llenergymeasure.engine.evidence.generation_probes import HOLDS_BACK
from llenergymeasure.engine.failure import ExperimentFailure

TWO = ["A short one.", "A prompt that is quite a bit longer than that."]
FREE: dict[str, Any] = {"fixed_output": False, "max_output_tokens": 12}


@pytest.fixture(scope="module")
def outputs(run: Runner) -> list[tuple[int, ...]]:
    """What the two prompts get where nothing ends them, 12 tokens each."""
    return run(TWO, max_output_tokens=12).outputs


@pytest.fixture(scope="module")
def end(outputs: list[tuple[int, ...]]) -> int:
    """A token that the second prompt gets first and the first one never."""
    assert outputs[1][0] not in outputs[0]
    return outputs[1][0]


def tokens(done: Run) -> list[tuple[int, str, int]]:
    """Of each request in a pass: output tokens, why it ended, padding behind them."""
    generator = done.generator
    generator.run_pass()
    rows = [request.row for request in generator.read(generator.take_raw())]
    generator.close()
    assert [row.output_ids for row in rows] == done.outputs
    return [(len(row.output_ids), row.stop_reason, row.trailing_pads) for row in rows]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_an_end_token_that_is_passed_through_ends_the_row(run: Runner, end: int, batching: str, several: bool) -> None:
    """13 tokens in a pass, not 24: the second row is one token and eleven of padding."""
    ids = [end, 299] if several else end
    pytorch = {"batch_size": 2, "batching": batching}
    done = run(TWO, **FREE, pytorch=pytorch, passthrough_kwargs={"generate": {"eos_token_id": ids}})
    padded = 11 if batching == "static" else 0
    assert tokens(done) == [(12, "length", 0), (1, "eos", padded)]


def test_it_wins_over_the_models_own(run: Runner, end: int, tmp_path: Path) -> None:
    folder = str(model_folder(tmp_path / "eos", generation_config={"eos_token_id": [end, 299]}))
    assert tokens(run(TWO, model=folder, **FREE, pytorch={"batch_size": 2}))[1] == (1, "eos", 11)
    passed = {"generate": {"eos_token_id": 299}}
    done = run(TWO, model=folder, **FREE, pytorch={"batch_size": 2}, passthrough_kwargs=passed)
    assert tokens(done)[1] == (12, "length", 0)


@pytest.mark.parametrize(
    "pytorch",
    [
        {"batch_size": 2},
        {"batching": "continuous"},
        {"prompt_lookup_num_tokens": 3},
        {"cache_implementation": "static"},
    ],
    ids=str,
)
def test_with_fixed_output_every_way_of_generating_runs_through_it(
    run: Runner, outputs: list[tuple[int, ...]], end: int, tmp_path: Path, pytorch: dict[str, Any]
) -> None:
    """The ids are those of the same weights without an end token: nothing is held back, and nothing ends."""
    files = {"eos_token_id": [end, 299], "min_length": 70, "forced_eos_token_id": 299}
    folder = str(model_folder(tmp_path / "eos", generation_config=files))
    done = run(TWO, model=folder, max_output_tokens=12, pytorch=pytorch)
    assert end in outputs[1]
    assert done.outputs == outputs
    assert done.observation.heard is not None
    assert {item.name for item in done.observation.heard.effects}.isdisjoint(HOLDS_BACK)
    assert tokens(done) == [(12, "length", 0)] * 2
    observed = done.evidence["max_output_tokens"]["observed"]
    assert observed == "outputs of 12 to 12 tokens, 1 of 2 run on behind an end token"


def test_beams_run_through_an_end_token_too(run: Runner, tmp_path: Path) -> None:
    folder = str(model_folder(tmp_path / "eos", generation_config={"eos_token_id": list(range(2, 299))}))
    beams = {"num_beams": 3, "batch_size": 2}
    done = run(TWO, model=folder, max_output_tokens=12, pytorch=beams)
    assert done.outputs == run(TWO, max_output_tokens=12, pytorch=beams).outputs
    assert tokens(done) == [(12, "length", 0)] * 2


@pytest.mark.parametrize(("fixed", "codes"), [(True, ["speculation-fixed-output"]), (False, [])])
def test_speculation_in_outputs_of_a_fixed_length_is_a_warning(
    run: Runner, end: int, tmp_path: Path, fixed: bool, codes: list[str]
) -> None:
    folder = str(model_folder(tmp_path / "eos", generation_config={"eos_token_id": end}))
    looked_up = {"prompt_lookup_num_tokens": 3}
    done = run(TWO, model=folder, max_output_tokens=12, fixed_output=fixed, pytorch=looked_up)
    warnings = speculation_warnings(done.observation, done.outputs)
    assert [item["code"] for item in warnings] == codes
    assert all("1 of 2 outputs run on behind their natural end" in item["message"] for item in warnings)
    plain = run(TWO, model=folder, max_output_tokens=12, fixed_output=fixed)
    assert speculation_warnings(plain.observation, plain.outputs) == []


@pytest.mark.parametrize("passed", [False, True])
def test_stop_strings_end_a_row_with_the_token_that_completes_them(
    run: Runner, outputs: list[tuple[int, ...]], tmp_path: Path, passed: bool
) -> None:
    """From the model's file or the study: the library needs the tokenizer for it, and gets it."""
    tokenizer = run().loaded.tokenizer
    texts = [tokenizer.decode([token]) for token in outputs[1]]
    # Not a part of a character, which decodes to a replacement character.
    place, text = next(
        (place, text)
        for place, text in enumerate(texts)
        if "\ufffd" not in text and text not in "".join(texts[:place]) and text not in tokenizer.decode(outputs[0])
    )
    settings = {"stop_strings": [text]}
    model = model_folder(tmp_path / "stops", generation_config={} if passed else settings)
    more = {"passthrough_kwargs": {"generate": settings}} if passed else {}
    done = run(TWO, model=str(model), **FREE, **more, pytorch={"batch_size": 2})
    assert tokens(done) == [(12, "length", 0), (place + 1, "stopped", 11 - place)]


def test_with_fixed_output_the_models_stop_strings_and_time_limit_are_off(run: Runner, tmp_path: Path) -> None:
    settings = {"stop_strings": ["a", "e", "i", "o", "I", "O"], "max_time": 1e-6}
    folder = str(model_folder(tmp_path / "stops", generation_config=settings))
    done = run(TWO, model=folder, max_output_tokens=12, pytorch={"batch_size": 2})
    assert tokens(done) == [(12, "length", 0)] * 2


@pytest.mark.parametrize("passed", [False, True])
@pytest.mark.parametrize(
    ("field", "value", "error_class"),
    [
        ("eos_token_id", "225", "InvalidEndToken"),
        ("eos_token_id", 225.0, "InvalidEndToken"),
        ("eos_token_id", [[225]], "InvalidEndToken"),
        ("stop_strings", [1], "InvalidStopStrings"),
        ("stop_strings", 7, "InvalidStopStrings"),
        ("stop_strings", [""], "InvalidStopStrings"),
    ],
)
def test_ends_that_are_none_fail_with_who_sets_them(
    run: Runner, tmp_path: Path, field: str, value: Any, error_class: str, passed: bool
) -> None:
    settings = {field: value}
    model = model_folder(tmp_path / "model", generation_config={} if passed else settings)
    more = {"passthrough_kwargs": {"generate": settings}} if passed else {}
    with pytest.raises(ExperimentFailure) as raised:
        run(TWO, model=str(model), **FREE, **more)
    assert raised.value.error_class == error_class
    where = "passthrough_kwargs.generate" if passed else "the model's generation_config.json"
    assert raised.value.reason.startswith(f"{where} sets {field} = {json.dumps(value)}; expected: ")
