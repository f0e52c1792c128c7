"""What plain `generate` runs is measured, with the same tokens; what it does not run fails with its reason."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_architectures import tiny_name
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.conftest import PROMPTS, Runner
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.generation.padding import pad_token

NEW = 4
ARCHITECTURES = (
    *("apertus", "arcee", "bamba", "bart", "bert-generation", "biogpt", "bitnet", "bloom", "codegen", "cohere"),
    *("cohere2", "ctrl", "cwm", "deepseek_v2", "deepseek_v3", "diffllama", "doge", "ernie4_5", "exaone4", "falcon"),
    *("falcon_h1", "falcon_mamba", "flex_olmo", "gemma", "gemma2", "gemma3_text", "glm", "glm4", "glm4_moe"),
    *("glm4_moe_lite", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_oss", "gptj", "granite", "granitemoe"),
    *("granitemoehybrid", "helium", "hunyuan_v1_dense", "jamba", "lfm2", "llama", "llama4_text", "mamba", "mamba2"),
    *("minicpm3", "ministral", "mistral", "mixtral", "mpt", "nanochat", "nemotron", "nemotron_h", "olmo", "olmo2"),
    *("olmo3", "olmoe", "openai-gpt", "opt", "persimmon", "phi", "phi3", "phimoe", "qwen2", "qwen2_moe", "qwen3"),
    *("qwen3_moe", "qwen3_next", "recurrent_gemma", "roformer", "rwkv", "seed_oss", "smollm3", "stablelm"),
    *("starcoder2", "xglm", "xlm", "youtu", "zamba2"),
)


def plain(folder: Any) -> list[tuple[int, ...]] | str:
    """The new tokens of each prompt, or the class of the library's error."""
    torch.manual_seed(42)
    given: dict[str, Any] = {"do_sample": False, "max_new_tokens": NEW, "min_new_tokens": NEW}
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        given["pad_token_id"] = pad_token(tokenizer, None)
        rows = []
        for first in range(0, len(PROMPTS), 2):
            batch = tokenizer(PROMPTS[first : first + 2], return_tensors="pt", padding=True)
            with torch.inference_mode():
                ids = model.generate(batch["input_ids"], attention_mask=batch["attention_mask"], **given)
            rows += [tuple(row[batch["input_ids"].shape[1] :].tolist()) for row in ids]
        return rows
    except Exception as error:  # noqa: BLE001 - whatever the library says
        return type(error).__name__


@pytest.mark.slow
def test_at_least_62_architectures_are_tried() -> None:
    assert len(set(ARCHITECTURES)) >= 62


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_plain_generate_runs_is_measured(run: Runner, architecture: str) -> None:
    name = tiny_name(architecture)
    wanted = plain(run.snapshot(name).path)
    settings = {"model": name, "pytorch": {"batch_size": 2}, "max_output_tokens": NEW}
    if isinstance(wanted, str):
        with pytest.raises(ExperimentFailure) as failure:
            run(**settings)
        assert failure.value.error_class == wanted
        assert failure.value.reason
        return
    done = run(**settings)
    assert done.outputs == wanted
    assert {entry["verdict"] for entry in done.evidence.values()} <= {"applied", "default", "unverifiable"}
    done.generator.run_pass()
    requests = done.generator.read(done.generator.take_raw())
    assert [request.row.output_ids for request in requests] == wanted
