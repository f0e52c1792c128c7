"""What a model's generation_config.json decides is measured, shown in the evidence, and said with the key to change."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from edited_models import model_folder
from engine.cases import TINY_DRAFT
from engine.conftest import Run, Runner

from llenergymeasure.engine.evidence import choice_warnings
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.measurement.measurement_record import plain_settings

FILE = "the model's generation_config.json"
SAMPLED = {"decoder": {"do_sample": True}}
FREE = {"fixed_output": False}


def with_file(run: Runner, folder: Path, fields: dict[str, Any], **settings: Any) -> Run:
    return run(model=str(model_folder(folder / "model", generation_config=fields)), **settings)


def warnings_of(done: Run) -> list[dict[str, str]]:
    return choice_warnings(done.config, done.observation)


def said(done: Run) -> list[str]:
    warnings = warnings_of(done)
    assert {item["code"] for item in warnings} <= {"model-setting"}
    return [item["message"] for item in warnings]


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({"return_dict_in_generate": True, "output_scores": True, "output_logits": True}, {}),
        ({"output_attentions": True, "output_hidden_states": True, "return_dict_in_generate": True}, {}),
        ({"num_return_sequences": 2, "do_sample": True}, SAMPLED),
        ({"num_return_sequences": 2, "do_sample": True, "num_beams": 2}, {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_what_generate_returns_is_not_up_to_the_model(
    run: Runner, tmp_path: Path, fields: dict[str, Any], settings: dict[str, Any], batching: str
) -> None:
    done = with_file(run, tmp_path, fields, **settings, pytorch={"batching": batching, "batch_size": 2})
    done.generator.run_pass()
    requests = done.generator.read(done.generator.take_raw())
    done.generator.close()
    assert [len(request.row.output_ids) for request in requests] == [8, 8, 8]


@pytest.mark.parametrize(
    ("field", "value", "path", "settings"),
    [
        ("num_beams", 4, "pytorch.num_beams", {}),
        ("no_repeat_ngram_size", 3, "pytorch.no_repeat_ngram_size", {}),
        ("use_cache", False, "pytorch.use_cache", {}),
        ("prompt_lookup_num_tokens", 2, "pytorch.prompt_lookup_num_tokens", {}),
        ("typical_p", 0.5, "decoder.typical_p", SAMPLED),
        ("min_new_tokens", 3, "decoder.min_new_tokens", FREE),
    ],
)
def test_a_field_with_a_parameter_shows_there(
    run: Runner, tmp_path: Path, field: str, value: Any, path: str, settings: dict[str, Any]
) -> None:
    done = with_file(run, tmp_path, {field: value}, **settings)
    text = json.dumps(value)
    assert said(done) == [f"{FILE} sets {field} = {text}, and the study does not; set {path} to override it"]
    entry = done.evidence[path]
    assert (entry["requested"], entry["effective"], entry["verdict"]) == (None, value, "default")
    assert entry["observed"].startswith(f"set by {FILE}: {field} = {text}; ")


@pytest.mark.parametrize(
    ("field", "value", "key", "settings"),
    [
        ("suppress_tokens", [5, 6], "passthrough_kwargs.generate.suppress_tokens", {}),
        ("bad_words_ids", [[7]], "passthrough_kwargs.generate.bad_words_ids", {}),
        ("forced_eos_token_id", 2, "passthrough_kwargs.generate.forced_eos_token_id", FREE),
        ("max_time", 60.0, "passthrough_kwargs.generate.max_time", FREE),
        ("min_length", 70, "decoder.min_new_tokens", FREE),
        # The library takes a decoder's prompt for what an encoder read.
        ("encoder_no_repeat_ngram_size", 3, "passthrough_kwargs.generate.encoder_no_repeat_ngram_size", {}),
        ("encoder_repetition_penalty", 1.5, "passthrough_kwargs.generate.encoder_repetition_penalty", {}),
    ],
)
def test_a_field_without_one_has_an_entry_of_its_own(
    run: Runner, tmp_path: Path, field: str, value: Any, key: str, settings: dict[str, Any]
) -> None:
    done = with_file(run, tmp_path, {field: value}, **settings)
    (message,) = said(done)
    assert message.endswith(f"set {key} to override it")
    entry = done.evidence[f"generation_config.json: {field}"]
    assert (entry["requested"], entry["effective"], entry["verdict"]) == (None, value, "default")
    assert FILE in entry["observed"]


@pytest.mark.parametrize("text", ['{"eos_token_id": 7,', "[7]", "", "\ufeff{}"], ids=["broken", "list", "empty", "bom"])
def test_a_file_that_the_library_would_silently_skip_fails(run: Runner, tmp_path: Path, text: str) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / "generation_config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ExperimentFailure, match=r"the model's generation_config\.json is not .*; correct it") as raised:
        run(model=str(folder))
    assert (raised.value.stage, raised.value.error_class) == ("load", "UnreadableFile")


@pytest.mark.parametrize(
    ("fields", "settings"),
    [({"prompt_lookup_num_tokens": 4}, {"pytorch": {"batch_size": 3}}), ({"penalty_alpha": 0.6, "top_k": 4}, {})],
    ids=str,
)
def test_what_the_library_refuses_is_reported_as_the_models_choice(
    run: Runner, tmp_path: Path, fields: dict[str, Any], settings: dict[str, Any]
) -> None:
    (name, value), *_ = fields.items()
    with pytest.raises(ExperimentFailure) as raised:
        with_file(run, tmp_path, fields, **settings)
    assert raised.value.reason.endswith(f" ({FILE} sets {name} = {value}, and the study does not)")


WATERMARK = {"greenlist_ratio": 0.25, "bias": 2.0, "hashing_key": 7, "seeding_scheme": "lefthash", "context_width": 1}


@pytest.mark.parametrize("passed", [False, True])
def test_settings_that_are_objects_in_the_library_are_plain_in_the_evidence(
    run: Runner, tmp_path: Path, passed: bool
) -> None:
    fields = {"watermarking_config": WATERMARK}
    if passed:
        evidence = run(passthrough_kwargs={"generate": fields}).evidence
        entry = evidence["passthrough_kwargs.generate.watermarking_config"]
        assert entry["verdict"] == "unverifiable"
    else:
        evidence = with_file(run, tmp_path, fields).evidence
        entry = evidence["generation_config.json: watermarking_config"]
    assert entry["effective"] == WATERMARK
    json.dumps(evidence, allow_nan=False)


def test_numbers_that_json_does_not_have_are_text_in_the_evidence(run: Runner, tmp_path: Path) -> None:
    done = with_file(run, tmp_path, {"max_time": float("inf")}, **FREE)
    assert done.evidence["generation_config.json: max_time"]["effective"] == "inf"
    json.dumps([done.evidence, plain_settings(done.observation.generation_config)], allow_nan=False)


def test_the_least_length_of_the_models_file_is_in_force(run: Runner, tmp_path: Path) -> None:
    plain = run(["One"], **FREE, max_output_tokens=12)
    first = plain.outputs[0][0]
    fields = {"min_length": len(plain.loaded.tokenizer("One")["input_ids"]) + 4, "eos_token_id": first}
    done = with_file(run, tmp_path, fields, **FREE, max_output_tokens=12, prompts=["One"])
    assert first not in done.outputs[0][:4]


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({"num_beams": 4}, {"pytorch": {"num_beams": 1}}),
        ({"suppress_tokens": [5]}, {"passthrough_kwargs": {"generate": {"suppress_tokens": None}}}),
        ({"repetition_penalty": 1.2}, {}),
        ({"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "eta_cutoff": 0.1}, {}),
        ({"length_penalty": 2.0, "num_beams": 2}, {"pytorch": {"num_beams": 1}}),
        ({"encoder_repetition_penalty": 1.2}, {"pytorch": {"batching": "continuous"}}),
        ({"max_length": 500, "min_length": 3, "pad_token_id": 1, "eos_token_id": [2, 3]}, {}),
        ({"stop_strings": ["x"], "max_time": 9.0}, {}),
        ({"num_beams": 4, "use_cache": False, "no_repeat_ngram_size": 2}, {"pytorch": {"batching": "continuous"}}),
        ({"token_healing": False, "renormalize_logits": False, "suppress_tokens": []}, {}),
    ],
    ids=str,
)
def test_what_the_study_sets_or_the_library_does_not_use_is_not_worth_a_word(
    run: Runner, tmp_path: Path, fields: dict[str, Any], settings: dict[str, Any]
) -> None:
    done = with_file(run, tmp_path, fields, **settings)
    assert said(done) == []
    assert not [path for path, entry in done.evidence.items() if "set by" in entry["observed"]]


def test_a_field_of_config_json_is_named_as_such(run: Runner, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "old", config={"use_cache": False})
    (folder / "generation_config.json").unlink()
    done = run(model=str(folder))
    assert said(done) == [
        "the model's config.json sets use_cache = false, and the study does not; set pytorch.use_cache to override it"
    ]


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("attn_implementation", "and the study does not; set pytorch.attn_implementation to override it"),
        ("_attn_implementation", "and no setting of a study overrides it"),
    ],
)
def test_the_attention_that_config_json_names_is_named_too(
    run: Runner, tmp_path: Path, name: str, way_out: str
) -> None:
    done = run(model=str(model_folder(tmp_path / "eager", config={name: "eager"})))
    assert said(done) == [f'the model\'s config.json sets {name} = "eager", {way_out}']
    entry = done.evidence["pytorch.attn_implementation"]
    assert entry["effective"] == "eager"
    assert entry["observed"].startswith(f"set by the model's config.json: {name} = ")


def test_the_study_wins_over_it_or_is_ignored(run: Runner, tmp_path: Path) -> None:
    asked = {"pytorch": {"attn_implementation": "sdpa"}}
    assert said(run(model=str(model_folder(tmp_path / "one", config={"attn_implementation": "eager"})), **asked)) == []
    folder = model_folder(tmp_path / "two", config={"_attn_implementation": "eager"})
    entry = run(model=str(folder), **asked).evidence["pytorch.attn_implementation"]
    assert (entry["effective"], entry["verdict"]) == ("eager", "ignored")
    assert "the model's config.json sets _attn_implementation" in entry["observed"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"eos_token_id": None},
            "the model's files set no end token (the tokenizer's end token '<eos>' (id 2) is in no configuration of "
            "generation), so outputs run to max_output_tokens; ",
        ),
        (
            {"eos_token_id": [225, 7]},
            "the tokenizer's end token '<eos>' (id 2) does not end an output: the model's files set eos_token_id = 7, "
            "225; ",
        ),
    ],
    ids=["none", "others"],
)
def test_outputs_that_the_tokenizers_end_token_does_not_end(
    run: Runner, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    folder = str(model_folder(tmp_path / "endless", generation_config=fields))
    (warning,) = warnings_of(run(model=folder, **FREE))
    way_out = "set passthrough_kwargs.generate.eos_token_id, or fixed_output: true"
    assert warning == {"code": "end-token", "message": message + way_out}
    assert warnings_of(run(model=folder)) == []
    assert warnings_of(run(model=folder, **FREE, passthrough_kwargs={"generate": {"eos_token_id": 9}})) == []


def test_a_draft_models_own_file_decides_how_much_it_guesses(run: Runner, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "draft", TINY_DRAFT, generation_config={"num_assistant_tokens": 3})
    done = run(pytorch={"assistant_model": str(folder)})
    assert said(done) == [
        "the draft model's generation_config.json sets num_assistant_tokens = 3, and no setting of a study overrides it"
    ]


@pytest.mark.parametrize("fields", [{"max_length": 500}, {"max_length": 500, "min_length": 3}], ids=str)
@pytest.mark.parametrize("fixed_output", [True, False])
def test_limits_of_the_models_file_do_not_flood_the_log_of_a_window(
    run: Runner, tmp_path: Path, fields: dict[str, Any], fixed_output: bool
) -> None:
    done = with_file(run, tmp_path, fields, fixed_output=fixed_output)
    done.loaded.state.reset()
    heard: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = heard.append  # type: ignore[method-assign]
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    try:
        done.generator.run_pass()
    finally:
        logger.removeHandler(handler)
    done.generator.close()
    assert [record.getMessage() for record in heard] == []
    assert list(done.observation.library_warnings) == []


def test_what_generate_batch_does_not_read_is_ignored_and_not_unverifiable(run: Runner) -> None:
    passed = {"passthrough_kwargs": {"generate": {"stop_strings": ["x"], "suppress_tokens": [5]}}}
    evidence = run(pytorch={"batching": "continuous"}, **FREE, **passed).evidence
    assert evidence["passthrough_kwargs.generate.stop_strings"]["verdict"] == "ignored"
    assert evidence["passthrough_kwargs.generate.suppress_tokens"]["verdict"] == "unverifiable"
