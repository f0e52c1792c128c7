"""The files of a tokenizer, and which package reads them. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "tekken.json",
    "tiktoken.model",
)
# Import name → requirement, for what pip installs.
_PIECES = {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}
_TIKTOKEN = {"tiktoken": "tiktoken"}
_MISTRAL = {"mistral_common": "mistral-common"}


def has_tokenizer(paths: Collection[str]) -> bool:
    return any(name in paths for name in TOKENIZER_FILES) or any(path.endswith(".tiktoken") for path in paths)


def missing_package(folder: Path, paths: Collection[str]) -> str | None:
    """Which package the tokenizer in these files needs that is not installed, with the line for pip; else None.

    The library's own message may name another one: it tries the next reader where one fails.
    """
    if "tokenizer.json" in paths:
        return None
    for path in sorted(paths):
        kind, needs = _reader(folder, path)
        if missing := [requirement for module, requirement in needs.items() if not _installed(module)]:
            return (
                f"its tokenizer is a {kind} file ({path}) without tokenizer.json, and {' and '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not installed: run pip install {' '.join(needs.values())}"
            )
    return None


def _reader(folder: Path, path: str) -> tuple[str, dict[str, str]]:
    """The kind of a tokenizer's file, and what reads it: import name → requirement. Nothing for any other file."""
    if path.endswith(".tiktoken") or path == "tiktoken.model":
        return "tiktoken", _TIKTOKEN
    if path.endswith(".model"):
        return ("SentencePiece", _PIECES) if _is_sentencepiece(folder / path) else ("tiktoken", _TIKTOKEN)
    if path == "tekken.json" and _class(folder).startswith("MistralCommon"):
        return "Mistral", _MISTRAL
    return "", {}


def _class(folder: Path) -> str:
    """The class that tokenizer_config.json asks for; empty where there is no such file."""
    try:
        return str(json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("tokenizer_class"))
    except (OSError, ValueError, AttributeError):
        return ""


def _is_sentencepiece(path: Path) -> bool:
    """A SentencePiece model is a protobuf message that begins with its first piece. True where there is no file."""
    try:
        with path.open("rb") as stream:
            return stream.read(1) == b"\n"
    except OSError:
        return True


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
