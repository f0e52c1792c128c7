"""Evidence says `applied` where a setting took effect, and `ignored` where it did not."""

from __future__ import annotations

from typing import Any

import pytest
from engine.cases import CASES, ELSEWHERE, ONE_KERNEL, SAMPLING, undone_here
from engine.conftest import Run, Runner

from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.engine.evidence import PROBES, collect

# optimum-quanto builds its kernels when it is first used, which takes more than a minute.
TRIED = [
    pytest.param(path, settings, marks=[pytest.mark.slow] if "quantized" in str(settings) else [])
    for path, settings in CASES
]
IDS = [f"{path}-{place}" for place, (path, _) in enumerate(CASES)]


def test_every_declared_parameter_names_a_probe_that_says_how_it_looks() -> None:
    for path, item in parameters().items():
        assert item.evidence in PROBES, path
        assert (PROBES[item.evidence].__doc__ or "").strip(), path


def test_every_parameter_is_tried() -> None:
    tried = {path for path, _ in CASES}
    assert not tried & set(ELSEWHERE)
    assert tried | set(ELSEWHERE) == set(parameters())


@pytest.mark.parametrize(("path", "settings"), TRIED, ids=IDS)
def test_a_setting_that_took_effect_is_applied(run: Runner, path: str, settings: dict[str, Any]) -> None:
    evidence = run(**settings).evidence
    undone = undone_here(settings)
    assert evidence[path]["verdict"] == ("ignored" if path in undone else "applied"), evidence[path]
    assert {name for name, entry in evidence.items() if entry["verdict"] == "ignored"} == undone


@pytest.mark.parametrize("neutral", [{"early_stopping": False}, {"length_penalty": 1.0}], ids=str)
def test_what_the_rules_let_stand_without_a_beam_search_is_not_ignored(run: Runner, neutral: dict[str, Any]) -> None:
    (name,) = neutral
    assert run(pytorch=neutral).evidence[f"pytorch.{name}"]["verdict"] == "applied"


@pytest.mark.slow
@pytest.mark.parametrize(("path", "settings"), CASES, ids=IDS)
def test_a_setting_that_was_lost_is_ignored(run: Runner, path: str, settings: dict[str, Any]) -> None:
    """The same experiment without the one setting, held against a configuration that claims it."""
    if path == "pytorch.bnb_4bit_compute_dtype" and ONE_KERNEL:
        pytest.skip("this processor's kernel multiplies in bfloat16, asked or not")
    asked = run.config_of(**settings)
    lost = run(lost=path, **settings)
    entry = collect(asked, lost.observation)[path]
    assert entry["verdict"] == "ignored", entry
    assert entry["observed"]


def test_precision_is_that_of_what_is_not_quantized(run: Runner) -> None:
    """GPT-2's 4-bit layers have biases, which bitsandbytes turns into the compute type when it multiplies."""
    gpt2 = "random:gpt2?n_embd=64&n_layer=1&n_head=2&vocab_size=300"
    asked = {"precision": "bf16", "pytorch": {"load_in_4bit": True, "bnb_4bit_compute_dtype": "float32"}}
    assert run(model=gpt2, **asked).evidence["precision"]["verdict"] == "applied"


@pytest.mark.parametrize("width", ["load_in_4bit", "load_in_8bit"])
def test_quantization_that_is_turned_off_is_off(run: Runner, width: str) -> None:
    evidence = run(pytorch={width: False}).evidence
    assert [evidence[f"pytorch.load_in_{bits}bit"]["effective"] for bits in (4, 8)] == [False, False]
    assert evidence[f"pytorch.{width}"]["verdict"] == "applied"


@pytest.mark.parametrize(
    ("path", "claimed"),
    [
        ("precision", {"precision": "fp16"}),
        ("max_output_tokens", {"max_output_tokens": 6}),
        ("cpu_threads", {"cpu_threads": 77}),
        ("random_seed", {"random_seed": 7}),
        ("pytorch.attn_implementation", {"pytorch": {"attn_implementation": "eager"}}),
        ("pytorch.torch_compile", {"pytorch": {"torch_compile": True}}),
        ("pytorch.load_in_4bit", {"pytorch": {"load_in_4bit": True}}),
        ("pytorch.use_cache", {"pytorch": {"use_cache": False}}),
        ("pytorch.cache_implementation", {"pytorch": {"cache_implementation": "static"}}),
        ("pytorch.num_beams", {"pytorch": {"num_beams": 2}}),
        ("pytorch.prompt_lookup_num_tokens", {"pytorch": {"prompt_lookup_num_tokens": 3}}),
        ("pytorch.num_processes", {"pytorch": {"num_processes": 2}}),
        ("pytorch.tp_size", {"pytorch": {"tp_size": 2}}),
        ("pytorch.batching", {"pytorch": {"batching": "continuous"}}),
        ("decoder.do_sample", {"decoder": SAMPLING}),
        ("decoder.temperature", {"decoder": {**SAMPLING, "temperature": 0.5}}),
        ("decoder.top_k", {"decoder": {**SAMPLING, "top_k": 7}}),
    ],
)
def test_a_plain_run_does_not_pass_for_more(run: Runner, plain: Run, path: str, claimed: dict[str, Any]) -> None:
    entry = collect(run.config_of(**claimed), plain.observation)[path]
    assert entry["verdict"] == "ignored", entry


@pytest.fixture(scope="module")
def plain(run: Runner) -> Run:
    return run(pytorch={"attn_implementation": "sdpa"})
