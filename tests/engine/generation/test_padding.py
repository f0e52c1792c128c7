"""A tokenizer whose padding token the model's embedding has no row for: batches are padded with another id, masked."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.conftest import Runner
from harness import TINY
from transformers import AutoTokenizer

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.engine.generation.padding import embedding_rows, pad_token, padding_replaced
from llenergymeasure.models.snapshot import materialise


def with_padding_outside(root: Path) -> Path:
    folder = root / "model"
    materialise(parse_model_ref(TINY), None, folder, lock=ModelsLock())
    (folder / "snapshot.json").unlink()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<spare{place}>" for place in range(60)])
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)
    return Path(shutil.move(folder, root / "outside"))


def test_its_batches_give_what_they_give_with_padding_inside(run: Runner, tmp_path: Path) -> None:
    settings = {"pytorch": {"batch_size": 3}}
    outside = run(model=str(with_padding_outside(tmp_path)), **settings)
    tokenizer, rows = outside.loaded.tokenizer, embedding_rows(outside.loaded.model)
    assert tokenizer.pad_token_id >= rows == 300
    assert outside.outputs == run(**settings).outputs
    assert pad_token(tokenizer, rows) == tokenizer.eos_token_id
    assert "'[PAD]' has the id" in str(padding_replaced(tokenizer, rows))
    assert padding_replaced(run().loaded.tokenizer, rows) is None
