"""Ids: the same intent has the same id anywhere, another intent has another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llenergymeasure.config import ExperimentConfig, compute_config_hash, compute_setup_hash
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.setting_paths import leaves, nest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SETTINGS: dict[str, Any] = {
    "model": "org/name",
    "precision": "fp16",
    "pytorch.max_memory": {0: "1GiB", "cpu": "2GiB"},
    "pytorch.num_beams": 2,
    "pytorch.length_penalty": 1.5,
    "decoder.do_sample": False,
    "passthrough_kwargs.generate.epsilon_cutoff": 0.25,
}
# Ids name folders of measured results: when this value changes, nobody's results are found again.
DIGEST = "bb8805107c01ddeaad6bc0ebde6109f1f16adefac9908de25170af364ba60353"

CHANGES: dict[str, Any] = {
    "model": "org/other",
    "precision": "fp32",
    "max_input_tokens": 7,
    "max_output_tokens": 7,
    "fixed_output": False,
    "n_prompts": 7,
    "random_seed": 7,
    "cpu_threads": 7,
    "pytorch.batch_size": 7,
    "pytorch.attn_implementation": "eager",
    "pytorch.torch_compile": True,
    "pytorch.torch_compile_mode": "default",
    "pytorch.torch_compile_backend": "inductor",
    "pytorch.load_in_4bit": True,
    "pytorch.load_in_8bit": True,
    "pytorch.bnb_4bit_compute_dtype": "float16",
    "pytorch.bnb_4bit_quant_type": "nf4",
    "pytorch.bnb_4bit_use_double_quant": True,
    "pytorch.use_cache": True,
    "pytorch.cache_implementation": "dynamic",
    "pytorch.num_beams": 7,
    "pytorch.early_stopping": "never",
    "pytorch.length_penalty": 7.0,
    "pytorch.no_repeat_ngram_size": 7,
    "pytorch.prompt_lookup_num_tokens": 7,
    "pytorch.device_map": "auto",
    "pytorch.max_memory": {"cpu": "7GiB"},
    "pytorch.revision": "a" * 40,
    "pytorch.trust_remote_code": True,
    "pytorch.num_processes": 1,
    "pytorch.devices": 7,
    "pytorch.quantization_config": {"quant_method": "fp8"},
    "pytorch.batching": "continuous",
    "pytorch.prefill_chunk_size": 7,
    "pytorch.assistant_model": "org/draft",
    "pytorch.assistant_revision": "a" * 40,
    "pytorch.compile_config": {"mode": "default"},
    "pytorch.tp_plan": "auto",
    "pytorch.tp_size": 7,
    "pytorch.adapter": "org/lora",
    "pytorch.adapter_revision": "a" * 40,
    "pytorch.allow_tf32": True,
    "pytorch.inference_mode": True,
    "decoder.typical_p": 0.7,
    "decoder.top_h": 0.7,
    "decoder.temperature": 0.7,
    "decoder.do_sample": False,
    "decoder.top_k": 7,
    "decoder.top_p": 0.7,
    "decoder.min_p": 0.7,
    "decoder.repetition_penalty": 7.0,
    "decoder.min_new_tokens": 7,
    "dataset.source": "file",
    "dataset.path": "a.csv",
    "dataset.column": "text",
    "dataset.tokens": 7,
    "dataset.name": "org/data",
    "dataset.revision": "b" * 40,
    "dataset.kinds": ["question"],
    "dataset.messages": "messages",
    "dataset.config": "en",
    "dataset.split": "train",
    "dataset.sample_seed": 7,
    "dataset.min_tokens": 7,
    "dataset.max_tokens": 7,
    "dataset.chat_template": False,
    "dataset.system_prompt": "Be brief.",
    "dataset.chat_template_kwargs": {"enable_thinking": False},
    "warmup.passes": 7,
    "warmup.cv_threshold": 0.07,
    "warmup.cv_window": 7,
    "warmup.max_passes": 7,
    "warmup.temperature_drift_c": 7.0,
    "warmup.temperature_window_s": 7.0,
    "warmup.temperature_band_c": 7.0,
    "warmup.temperature_timeout_s": 7.0,
    "baseline.enabled": False,
    "baseline.duration_s": 7.0,
    "energy.meters": ["nvml"],
    "energy.power_interval_s": 0.07,
}


def config(flat: dict[str, Any]) -> ExperimentConfig:
    from llenergymeasure.config.rules.checked import UNCHECKED

    return ExperimentConfig.model_validate(nest(flat), context=UNCHECKED)


def test_golden_id() -> None:
    assert compute_config_hash(config(SETTINGS)) == DIGEST


def test_key_order_does_not_matter() -> None:
    backwards = dict(reversed(SETTINGS.items()))
    backwards["pytorch.max_memory"] = {"cpu": "2GiB", 0: "1GiB"}
    assert compute_config_hash(config(backwards)) == DIGEST


@pytest.mark.parametrize("hash_seed", ["0", "1", "12345"])
def test_other_processes_agree(hash_seed: str) -> None:
    program = (
        "import ast, sys; from llenergymeasure.config import ExperimentConfig, compute_config_hash\n"
        "from llenergymeasure.config.settings.setting_paths import nest\n"
        "settings = ast.literal_eval(sys.argv[1])\n"
        "print(compute_config_hash(ExperimentConfig.model_validate(nest(settings))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, repr(SETTINGS)],
        env={"PYTHONPATH": str(SCRIPTS), "PYTHONHASHSEED": hash_seed, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == DIGEST


def test_whole_numbers_for_a_number_are_the_same() -> None:
    one, other = (config({"model": "a/b", "baseline.duration_s": value}) for value in (1, 1.0))
    assert compute_config_hash(one) == compute_config_hash(other)


def test_a_preset_is_its_values() -> None:
    preset = config({"model": "a/b", "decoder.preset": "deterministic"})
    spelt = config({"model": "a/b", "decoder.do_sample": False})
    assert compute_config_hash(preset) == compute_config_hash(spelt)


def test_every_setting_is_tried() -> None:
    assert set(CHANGES) == set(leaves()) - {"decoder.preset"}


@pytest.mark.parametrize("path", list(CHANGES))
def test_every_setting_changes_the_id_and_setup_settings_the_setup_id(path: str) -> None:
    before, after = config({"model": "a/b"}), config({"model": "a/b", path: CHANGES[path]})
    assert compute_config_hash(before) != compute_config_hash(after)
    # Experiments that share a process share its meters and its idle baseline.
    is_setup = path == "model" or path.startswith(("energy.", "baseline."))
    is_setup |= path in parameters() and parameters()[path].level == "setup"
    assert (compute_setup_hash(before) != compute_setup_hash(after)) is is_setup


@pytest.mark.parametrize(
    ("target", "is_setup"),
    [
        ("from_pretrained", True),
        ("bitsandbytes", True),
        ("compile", True),
        ("generate", False),
        ("continuous_batching", False),
    ],
)
def test_passthrough_is_part_of_the_ids(target: str, is_setup: bool) -> None:
    before = config({"model": "a/b"})
    for value in (1, None):
        after = config({"model": "a/b", f"passthrough_kwargs.{target}.anything": value})
        assert compute_config_hash(before) != compute_config_hash(after)
        assert (compute_setup_hash(before) != compute_setup_hash(after)) is is_setup
