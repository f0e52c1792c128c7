"""A tokenizer whose files are damaged is named as such, whatever the library's error is."""

from __future__ import annotations

from pathlib import Path

import pytest

from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.loading.tokenizer import read_tokenizer


@pytest.mark.parametrize("content", ['{"version": "1.0", "model": {"type": "BPE"}}', "{", "[]"])
def test_damaged_files_are_said_to_be_the_tokenizers(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ExperimentFailure) as caught:
        read_tokenizer(tmp_path, trusted=False)
    assert caught.value.stage == "load"
    assert caught.value.reason.startswith("the tokenizer's files cannot be read (")
    assert caught.value.reason.endswith("; download the model again, or use another")
    assert "\n" not in caught.value.reason and "Traceback" in caught.value.trace
