"""What the libraries only log while a model loads or first generates is kept: once, bounded, legible."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest
from edited_models import model_folder
from engine.conftest import Runner
from transformers.utils import logging as transformers_logging

from llenergymeasure.engine.loading.library_warnings import CHARACTERS, MESSAGES, library_warnings

LONG = ["A prompt that is longer than the sixteen positions of that model."]


def test_log_records_and_python_warnings_are_kept_once_and_without_control_characters() -> None:
    with library_warnings() as kept:
        for _ in range(3):
            logging.getLogger("transformers.models.llama").warning("\x1b[1mslow\x1b[0m path\nof %s", "attention")
            logging.getLogger("peft.tuners").info("nothing to see")
            warnings.warn("odd keys", UserWarning, stacklevel=1)
    assert kept.to_list() == [
        {"code": "library-warning", "message": "transformers: slow path of attention"},
        {"code": "library-warning", "message": "test_library_warnings: odd keys"},
    ]
    with library_warnings() as later:
        pass
    assert later.to_list() == []


def test_number_and_length_are_bounded() -> None:
    logger = logging.getLogger("bitsandbytes.nn")
    with library_warnings() as kept:
        for number in range(MESSAGES + 5):
            logger.warning("%d %s", number, "x" * 10_000)
    entries = kept.to_list()
    assert len(entries) == MESSAGES + 1
    assert max(len(item["message"]) for item in entries) == CHARACTERS
    assert entries[-1]["message"] == "5 further warnings of the libraries are in the log only"


def test_a_record_whose_arguments_do_not_fit_is_kept_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with library_warnings() as kept:
        logging.getLogger("accelerate").warning("%d of %s", "one")
    assert kept.to_list()[0]["message"] == "accelerate: %d of %s"


def test_loggers_are_left_as_they_were_found() -> None:
    logger = logging.getLogger("transformers")
    before = (logger.level, list(logger.handlers), warnings.showwarning)
    logger.setLevel(logging.ERROR)
    try:
        with library_warnings() as kept:
            logging.getLogger("transformers.generation").warning("silenced by the environment")
        assert logger.level == logging.ERROR
    finally:
        logger.setLevel(before[0])
    assert (logger.level, list(logger.handlers), warnings.showwarning) == before
    assert [item["message"] for item in kept.to_list()] == ["transformers: silenced by the environment"]


def test_what_is_said_once_in_a_process_is_in_the_record_of_every_experiment(run: Runner, tmp_path: Path) -> None:
    """A prompt beyond the model's positions: the library reminds once, whoever asks next."""
    folder = str(model_folder(tmp_path / "short", config={"max_position_embeddings": 16}))
    for _ in range(2):
        said = run(LONG, model=folder).observation.library_warnings
        assert [item["code"] for item in said] == ["library-warning"]
        assert "exceeded the model's predefined maximum length (16)" in said[0]["message"]
    assert transformers_logging.get_verbosity() == logging.WARNING


def test_an_adapter_with_fields_that_peft_ignores_is_heard(run: Runner, tmp_path: Path) -> None:
    import json

    whole = Path(run.config_of(pytorch={"adapter": "ADAPTER"}).pytorch.adapter or "")
    other = tmp_path / "lora"
    other.mkdir()
    (other / "adapter_model.safetensors").write_bytes((whole / "adapter_model.safetensors").read_bytes())
    fields = json.loads((whole / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps({**fields, "magic_scaling": 3}))
    messages = [item["message"] for item in run(pytorch={"adapter": str(other)}).loaded.warnings]
    assert any("magic_scaling" in message for message in messages), messages


def test_what_torchao_says_on_import_is_dropped_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("torchao")
    logger.warning("Failed to load /somewhere/_C_mxfp8.so: no CUDA")
    logger.warning("this layer is not quantized")
    logging.getLogger("torch.utils._pytree").warning("<enum 'KernelPreference'> is an Enum subclass")
    assert [record.getMessage() for record in caplog.records] == ["this layer is not quantized"]
