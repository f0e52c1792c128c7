"""Take out the wiring piece by piece: whatever is missing, the evidence of some experiment says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from engine.cases import CASES, ELSEWHERE, ONE_KERNEL, PASSED, undone_here
from engine.conftest import Runner
from engine.evidence.mutants import Mutant, mutants

from llenergymeasure.config.settings import registry
from llenergymeasure.config.settings.registry import parameters
from llenergymeasure.config.settings.sources import ROLES
from llenergymeasure.engine.failure import ExperimentFailure
from llenergymeasure.engine.generation import continuous_batching, generators, keywords, static_batching
from llenergymeasure.engine.loading import load, quantizers, torchao_configs

FUNCTIONS: tuple[Callable[..., Any], ...] = (
    load.load_keywords,
    load.compile_keywords,
    load.load_model,
    load.set_threads,
    load._assistant,
    quantizers.quantization_asked,
    quantizers.quantization_from_settings,
    torchao_configs.torchao_config,
    keywords.generate_keywords,
    keywords.continuous_options,
    generators._static,
    generators._continuous,
    static_batching.StaticGenerator.run_instrumented,
    continuous_batching.ContinuousGenerator._start,
)

# A piece without any of these words measures or describes; it hands nothing on.
WIRING = re.compile(
    r"\b(config|sources?|given|asked|options|keywords|seed|named|compute|quantization|adapter|arguments|method)\b"
)
# Pieces that no evidence of this machine can miss, and why.
NO_WIRING: dict[str, str] = {
    "compile_keywords: if not config.pytorch.torch_compile:": "test_generation: nothing is compiled unasked",
    **dict.fromkeys(
        (
            "load_model: if config.pytorch.allow_tf32 is not None:",
            "load_model: torch.backends.cuda.matmul.allow_tf32 = config.pytorch.allow_tf32",
            "load_model: torch.backends.cudnn.allow_tf32 = config.pytorch.allow_tf32",
            "generate_keywords: if config.pytorch.torch_compile:",
            "generate_keywords: given['disable_compile'] = True",
        ),
        "only a CUDA device shows it: tests/gpu",
    ),
    **dict.fromkeys(
        (
            "generate_keywords: if 'compile_config' in given:",
            "generate_keywords: given['compile_config'] = CompileConfig(**given['compile_config'])",
            "_assistant: if drafter.config.get_text_config().vocab_size != model.config.get_text_config().vocab_size:",
        ),
        "test_combinations",
    ),
    **dict.fromkeys(
        (
            "load_model: trust_remote_code=given['trust_remote_code']",
            "load_model: _import_model_code(snapshot, trust_remote_code=given['trust_remote_code'])",
        ),
        "tests/models/hub/test_hub_companions runs a model that brings code",
    ),
    **dict.fromkeys(
        (
            "continuous_options: if config.pytorch.attn_implementation is not None and "
            "scheduler_takes('auto_switch_to_flash'):",
            "continuous_options: options['auto_switch_to_flash'] = False",
        ),
        "guards against a choice that the library does not make without flash attention",
    ),
    **dict.fromkeys(
        (
            "quantization_from_settings: if method not in known_methods():",
            "quantization_from_settings: for name in options:",
            "quantization_from_settings: _check_types(_config_class(method), options)",
            "quantization_from_settings: if method == BITSANDBYTES and (not (options.get('load_in_4bit') or "
            "options.get('load_in_8bit'))):",
            "quantization_from_settings: if made.quant_method != method and method not in _WIDTHS:",
            "quantization_from_settings: made.quant_method = QuantizationMethod(method)",
            "quantization_from_settings: owner = _config_class(method).__name__",
        ),
        "tests/engine/test_quantization_check: what is refused before a load, and methods without a processor's kernel",
    ),
    **dict.fromkeys(
        (
            "generate_keywords: if config.pytorch.batching == 'continuous':",
            "generate_keywords: if config.fixed_output:",
            "generate_keywords: given.update(_NO_EARLY_END)",
            "_static: keywords['tokenizer'] = loaded.tokenizer",
        ),
        "test_ends_of_rows: the tiny models never end a row by themselves",
    ),
    **dict.fromkeys(
        (
            "generate_keywords: given['no_repeat_ngram_size'] = 0",
            "generate_keywords: if defaults is not None and defaults.min_length and ('min_new_tokens' not in given):",
            "generate_keywords: given['min_length'] = defaults.min_length",
        ),
        "test_model_choices: only a model's own file asks for it",
    ),
    "load_keywords: given.pop('quantization_config', None)": "only for a study that asks for none, which has none",
    "generate_keywords: given.pop('assistant_model', None)": "test_check: the name of a model is no generation setting",
    "load_keywords: given.pop('revision', None)": "the library ignores a revision for a folder",
    "load_keywords: group = group or Alone()": "only spares callers an argument",
    "load_model: group = group or Alone()": "only spares callers an argument",
    "load_keywords: given['use_safetensors'] = True": "a snapshot holds no other weights (tests/models)",
    "load_keywords: given['distributed_config'] = DistributedConfig(**tensor_parallel)": "see tests/measurement",
}


# Handed over as what was loaded from them, not as a keyword.
LOADED = {name for name, _ in ROLES.values()}


def caught(run: Runner, words: str) -> str | None:
    """The first case that a run with missing wiring does not pass; those named in `words` come first."""
    # A setting that this processor undoes says so whatever is missing.
    tried = [(path, settings) for path, settings in [*CASES, *PASSED] if path not in undone_here(settings)]
    named = sorted(tried, key=lambda case: case[0].rpartition(".")[2] not in words)
    for path, settings in named:
        try:
            evidence = run(**settings).evidence
        except Exception as error:  # noqa: BLE001 - whatever breaks is noticed
            return f"{path}: {type(error).__name__}"
        lost = [name for name, entry in evidence.items() if entry["verdict"] == "ignored"]
        wanted = "applied" if path in parameters() else "unverifiable"
        if lost or evidence[path]["verdict"] != wanted:
            return f"{path}: {lost or evidence[path]['verdict']}"
    return None


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path, item in parameters().items() if item.target != "runtime" and path not in LOADED]
)
def test_a_keyword_that_is_not_handed_over_is_noticed(run: Runner, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if path in ELSEWHERE:
        pytest.skip(f"its effect is tried in {ELSEWHERE[path]}")
    if path == "pytorch.bnb_4bit_compute_dtype" and ONE_KERNEL:
        pytest.skip("this processor has one kernel, which computes in the type that is asked for, asked or not")
    settings = next(settings for tried, settings in CASES if tried == path)
    requested = registry.requested
    # Only `keywords` asks this name; the evidence asks its own.
    monkeypatch.setattr(registry, "requested", lambda config: {k: v for k, v in requested(config).items() if k != path})
    try:
        entry = run(**settings).evidence[path]
    except (ExperimentFailure, AssertionError, KeyError):
        return
    assert entry["verdict"] == "ignored", entry


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__qualname__)
def test_every_piece_of_wiring_is_missed_when_it_is_gone(run: Runner, function: Callable[..., Any]) -> None:
    survivors = []
    tried: list[Mutant] = [
        mutant for mutant in mutants(function) if WIRING.search(mutant.removed) and mutant.name not in NO_WIRING
    ]
    assert tried
    for mutant in tried:
        with mutant.alive():
            failed_case = caught(run, mutant.removed)
        print(f"{mutant.name}  →  {failed_case}")
        if failed_case is None:
            survivors.append(mutant.name)
    assert not survivors
