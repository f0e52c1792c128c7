"""A quantization is checked before anything is loaded: by the library's own names, this machine, the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.engine.failure import KeyRefused
from llenergymeasure.engine.loading.checkpoint_quantization import (
    UnknownQuantization,
    not_for_checkpoint,
    quantization_in,
)
from llenergymeasure.engine.loading.quantized_width import quantized_width, skipped_layers
from llenergymeasure.engine.loading.quantizer_needs import NEEDS
from llenergymeasure.engine.loading.quantizers import known_methods, quantization_from_settings
from llenergymeasure.engine.quantization_check import quantization_problems

PATH = "pytorch.quantization_config"
W4 = {"quant_method": "compressed-tensors", "format": "pack-quantized"}
NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": "nf4"}
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may run it")


def problems(model: str = "random:llama", **pytorch: Any) -> list[Problem]:
    config = ExperimentConfig.model_validate({"model": model, "pytorch": pytorch})
    return list(quantization_problems(config))


def asked(**settings: Any) -> dict[str, Any]:
    return {"quantization_config": settings}


def checkpoint(folder: Path, quantization: dict[str, Any] | None) -> str:
    config = {"model_type": "llama"} if quantization is None else {"quantization_config": quantization}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("settings", "path", "says", "hint"),
    [
        ({"quant_method": "quanta"}, "quant_method", 'does not know the method "quanta"', "did you mean quanto?"),
        ({"quant_method": "int3"}, "quant_method", 'the method "int3"', "use one of aqlm, auto-round, awq"),
        (
            {"quant_method": "quanto", "weight": "int8"},
            "weight",
            'QuantoConfig of transformers has no "weight"',
            "did you",
        ),
        ({"quant_method": "quanto", "weights": "int9"}, None, "Only support weights in ['float8', 'int8'", ""),
        (
            {"quant_method": "quanto", "activations": "int8"},
            "activations",
            "does not quantize activations",
            "remove it",
        ),
        ({"quant_method": "fp8", "dequantize": "no"}, "dequantize", 'is "no"', "write a valid boolean"),
        (
            {"quant_method": "quanto", "modules_to_not_convert": "lm_head"},
            "modules_to_not_convert",
            "is",
            "a valid list",
        ),
        (
            {"quant_method": "quanto", "modules_to_not_convert": [5]},
            "modules_to_not_convert",
            "is [5]",
            "a valid string",
        ),
        # The library would take each letter for a pattern.
        (
            {"quant_method": "torchao", "quant_type": "Int8WeightOnlyConfig", "modules_to_not_convert": "lm_head"},
            "modules_to_not_convert",
            'is "lm_head"',
            "a valid list",
        ),
        (
            {"quant_method": "torchao", "quant_type": "Int8WeightOnlyConfig", "include_input_output_embeddings": "no"},
            "include_input_output_embeddings",
            'is "no"',
            "a valid boolean",
        ),
        ({"quant_method": "quark", "bits": 4}, "bits", "QuarkConfig of transformers has no", "remove it"),
        ({"quant_method": "gptq"}, None, "missing 1 required positional argument: 'bits'", ""),
        ({"quant_method": "bitsandbytes"}, "quant_method", "4 or 8 bits", "add load_in_4bit: true or load_in_8bit"),
    ],
)
def test_a_mistake_is_answered_with_the_librarys_own_names(
    settings: dict[str, Any], path: str | None, says: str, hint: str
) -> None:
    (problem,) = problems(**asked(**settings))
    assert (problem.severity, problem.rule) == ("error", "library-refuses")
    assert problem.path == (PATH if path is None else f"{PATH}.{path}")
    assert says in problem.message
    assert hint in str(problem.hint)


def test_every_method_of_the_library_is_known_and_its_needs_are_declared() -> None:
    # These need nothing but transformers.
    assert set(known_methods()) - set(NEEDS) == {"bitnet", "bitsandbytes_4bit", "bitsandbytes_8bit", "gemma"}
    assert set(NEEDS) <= set(known_methods())
    # One class serves both.
    for method in ("fp8", "mxfp8"):
        assert quantization_from_settings({"quant_method": method}).quant_method.value == method


@NO_GPU
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"quant_method": "fp8"}, "needs a CUDA device of compute capability 8.9, and there is no CUDA device here"),
        ({"quant_method": "hqq"}, "needs the package hqq (pip install hqq), and the package hqq is not installed here"),
        ({"quant_method": "gptq", "bits": 4}, "(pip install gptqmodel), and"),
        ({"quant_method": "sinq"}, "pip install sinq"),
        ({"quant_method": "fbgemm_fp8"}, "pip install fbgemm-gpu"),
        ({"quant_method": "nvfp4"}, "a CUDA device of compute capability 10.0"),
    ],
)
def test_what_this_machine_lacks_is_a_warning_that_says_what_to_install(settings: dict[str, Any], says: str) -> None:
    listed = problems(**asked(**settings))
    assert {(problem.severity, problem.rule, problem.path) for problem in listed} == {
        ("warning", "requirement-unmet", PATH)
    }
    assert any(says in problem.message for problem in listed)


def test_what_can_run_here_is_no_problem() -> None:
    assert problems() == []
    assert problems(load_in_4bit=True) == []
    assert problems(**asked(quant_method="quanto", weights="int8")) == []
    assert problems(**asked(quant_method="bitsandbytes_4bit", bnb_4bit_quant_type="nf4")) == []


def test_a_quantization_of_a_checkpoint_that_has_one_is_refused_before_loading(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, W4)
    (problem,) = problems(folder, **asked(quant_method="quanto", weights="int8"))
    assert (problem.severity, problem.rule, problem.path) == ("error", "quantization-clash", PATH)
    assert "asks for quanto, and the checkpoint is quantized with compressed-tensors already" in problem.message
    (problem,) = problems(folder, load_in_4bit=True)
    assert (problem.path, problem.rule) == ("pytorch.load_in_4bit", "quantization-clash")
    assert problems(checkpoint(tmp_path, NF4), load_in_4bit=True, bnb_4bit_quant_type="nf4") == []
    (problem,) = problems(checkpoint(tmp_path, NF4), load_in_4bit=True, bnb_4bit_quant_type="fp4")
    assert 'sets bnb_4bit_quant_type to "fp4"' in problem.message and 'has "nf4"' in problem.message
    (problem,) = problems(checkpoint(tmp_path, NF4), load_in_8bit=True)
    assert "sets load_in_8bit to true" in problem.message
    (problem,) = problems(checkpoint(tmp_path, None), **asked(quant_method="awq"))
    assert "awq only reads checkpoints that are quantized with it, and this one is not quantized" in problem.message


def test_keys_that_the_library_reads_while_loading_may_be_set_for_its_own_checkpoint() -> None:
    declared = quantization_in({"quantization_config": W4})
    for settings, refused in (
        ({"dequantize": True}, False),
        ({"use_optimized_inference": True}, False),
        ({"format": "pack-quantized"}, False),
        ({"format": "int-quantized"}, True),
        ({"ignore": ["lm_head"]}, True),
    ):
        wanted = {"quant_method": "compressed-tensors", **settings}
        quantization = quantization_from_settings({"quant_method": "fp8"}) if refused else _Reads()
        assert bool(not_for_checkpoint(declared, wanted, quantization)) == refused, settings


class _Reads:
    """The library's object, by what it takes from a study."""

    def get_loading_attributes(self) -> dict[str, Any]:
        return {"dequantize": True, "use_optimized_inference": True}


def test_a_checkpoints_quantization_is_recognised_wherever_config_json_has_it() -> None:
    assert quantization_in({"model_type": "llama"}) is None
    assert quantization_in({"quantization_config": None}) is None
    for config in ({"quantization_config": NF4}, {"text_config": {"quantization_config": NF4}}):
        declared = quantization_in(config)
        assert declared is not None and declared.method == "bitsandbytes"
    old = quantization_in({"quantization_config": {"load_in_8bit": True}})
    assert old is not None and old.method == "bitsandbytes"
    for unknown in (
        {"quant_method": "modelopt", "quant_algo": "FP8"},
        {"quant_method": "exl3", "bits": 4},
        {"bits": 4},
    ):
        with pytest.raises(UnknownQuantization, match="does not know and would skip"):
            quantization_in({"quantization_config": unknown})


@pytest.mark.parametrize(
    ("settings", "width", "skipped"),
    [
        ({"quant_method": "bitsandbytes_4bit"}, 4, []),
        ({"quant_method": "bitsandbytes_8bit", "llm_int8_skip_modules": ["a"]}, 8, ["a"]),
        ({"quant_method": "quanto", "weights": "float8", "modules_to_not_convert": ["b"]}, 8, ["b"]),
        ({"quant_method": "quanto", "weights": "int2"}, 2, []),
        ({"quant_method": "gptq", "bits": 3}, 3, []),
        ({"quant_method": "fp8"}, 8, []),
        ({"quant_method": "mxfp4"}, 4, []),
        ({"quant_method": "higgs", "bits": 2}, 2, []),
        ({"quant_method": "sinq", "nbits": 4}, 4, []),
        ({"quant_method": "aqlm", "num_codebooks": 2, "nbits_per_codebook": 8, "in_group_size": 8}, 2, []),
        ({"quant_method": "vptq"}, None, []),
    ],
)
def test_the_width_comes_from_the_librarys_own_object(settings: dict[str, Any], width: Any, skipped: list[str]) -> None:
    quantization = quantization_from_settings(settings)
    assert quantized_width(quantization) == width
    assert skipped_layers(quantization) == skipped


class TestTorchao:
    @pytest.fixture(autouse=True)
    def _needs_torchao(self) -> None:
        pytest.importorskip("torchao")

    def made(self, kind: str, **arguments: Any) -> Any:
        return quantization_from_settings({"quant_method": "torchao", "quant_type": kind, **arguments})

    def test_a_class_is_named_and_its_arguments_are_plain_yaml(self) -> None:
        from torchao.quantization import Int8WeightOnlyConfig
        from torchao.quantization.granularity import PerGroup

        made = self.made("Int8WeightOnlyConfig", modules_to_not_convert=["lm_head"])
        assert isinstance(made.quant_type, Int8WeightOnlyConfig)
        assert made.modules_to_not_convert == ["lm_head"]
        granularity = {"type": "PerGroup", "group_size": 32}
        made = self.made("Int8DynamicActivationIntxWeightConfig", weight_dtype="int4", weight_granularity=granularity)
        assert made.quant_type.weight_dtype is torch.int4
        assert made.quant_type.weight_granularity == PerGroup(32)
        packed = self.made("Int4WeightOnlyConfig", group_size=64, int4_packing_format="tile_packed_to_4d")
        assert packed.quant_type.int4_packing_format.value == "tile_packed_to_4d"
        assert [quantized_width(item) for item in (made, packed, self.made("Float8WeightOnlyConfig"))] == [4, 4, 8]
        assert quantized_width(self.made("Int8DynamicActivationInt8WeightConfig")) == 8

    @pytest.mark.parametrize(
        ("kind", "arguments", "key", "says"),
        [
            ("Int8WeightOnly", {}, "quant_type", "did you mean Int8WeightOnlyConfig?"),
            ("os.system", {}, "quant_type", 'no configuration "os.system"; use one of Float8'),
            ("FqnToConfig", {"fqn_to_config": {}}, "quant_type", "no configuration"),
            ("AOBaseConfig", {}, "quant_type", "no configuration"),
            (None, {}, "quant_type", "torchao needs a quant_type"),
            (7, {}, "quant_type", "no configuration 7"),
            ("Int8WeightOnlyConfig", {"groupsize": 3}, "groupsize", "did you mean group_size?"),
            ("Int4WeightOnlyConfig", {"group_size": "32"}, "group_size", "should be a valid integer"),
            ("Int4WeightOnlyConfig", {"int4_packing_format": "til"}, "int4_packing_format", "plain_int32"),
            ("Int8WeightOnlyConfig", {"granularity": "PerRows"}, "granularity", "did you mean PerRow?"),
            ("Int8WeightOnlyConfig", {"granularity": {"type": "PerGroup"}}, "group_size", "needs group_size"),
            ("Float8WeightOnlyConfig", {"weight_dtype": "os"}, "weight_dtype", "does not take"),
            ("IntxWeightOnlyConfig", {"granularity": None}, "granularity", "does not take null"),
        ],
    )
    def test_only_torchaos_own_configurations_are_made(
        self, kind: Any, arguments: dict[str, Any], key: str, says: str
    ) -> None:
        with pytest.raises(KeyRefused) as caught:
            self.made(kind, **arguments)
        assert caught.value.key == key
        assert says in str(caught.value)
