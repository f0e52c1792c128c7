"""Load a model as an experiment asks: dtype, quantization, attention, placement, adapter, compilation."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.distributed import DistributedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.devices import on_processor
from llenergymeasure.config.problems.catalogue import QUANTIZATION_CLASH
from llenergymeasure.config.settings.registry import keywords
from llenergymeasure.engine.devices import DeviceKind, devices_holding, input_device, startup_devices
from llenergymeasure.engine.failure import ExperimentFailure, library_call
from llenergymeasure.engine.generation.model_defaults import ModelDefaults, take_defaults
from llenergymeasure.engine.loading.checkpoint_quantization import (
    CheckpointQuantization,
    declared_quantization,
    not_for_checkpoint,
)
from llenergymeasure.engine.loading.compilation import compile_in_place
from llenergymeasure.engine.loading.fitting import memory_explained, refuse_offloading, require_fit
from llenergymeasure.engine.loading.library_state import LibraryState
from llenergymeasure.engine.loading.library_warnings import library_warnings
from llenergymeasure.engine.loading.load_report import check_formats, check_report
from llenergymeasure.engine.loading.model_files import ModelFiles, read_model_files
from llenergymeasure.engine.loading.quantizer_needs import import_packages, missing_package
from llenergymeasure.engine.loading.quantizers import METHOD, asked_as_written, quantization_asked
from llenergymeasure.engine.loading.tokenizer import read_tokenizer
from llenergymeasure.engine.loading.weight_storage import (
    Architecture,
    LayerStorage,
    architecture,
    resident_bytes,
    weight_storage,
)
from llenergymeasure.engine.replicas import Alone, Group

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
TORCH_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Source:
    """A verified snapshot's folder, and whether it holds Python files whose hashes are in the lock.

    quantized: the folder with the model's weights that were quantized before; None where this process quantizes
    """

    path: Path
    has_code: bool = False
    quantized: Path | None = None


@dataclass(frozen=True)
class Sources:
    """Everything an experiment loads."""

    model: Source
    assistant: Source | None = None
    adapter: Source | None = None


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, with the time and memory that loading it took.

    defaults, assistant_defaults: the generation settings in the files of model and draft model
    checkpoint_quantization: None where the files hold plain weights
    warnings: what the library's load report and its log say, as {code, message}
    """

    model: Any
    tokenizer: Any
    assistant: Any
    devices: DeviceKind
    state: LibraryState
    load_keywords: dict[str, Any]
    compile_keywords: dict[str, Any] | None
    load_s: float
    load_peak_bytes: int
    resident_bytes: int
    defaults: ModelDefaults
    assistant_defaults: ModelDefaults | None = None
    checkpoint_quantization: CheckpointQuantization | None = None
    warnings: Sequence[dict[str, str]] = ()

    @property
    def input_device(self) -> torch.device:
        """Where prompts go."""
        return input_device(self.model)

    @cached_property
    def architecture(self) -> Architecture:
        """What the model would be without quantization."""
        return architecture(self.model)

    @cached_property
    def storage_at_load(self) -> Sequence[LayerStorage]:
        """What the layers held when this was first asked: before any forward pass, for `Observation` asks it."""
        return weight_storage(self.model, self.architecture)


def load_keywords(config: ExperimentConfig, *, has_code: bool, group: Group | None = None) -> dict[str, Any]:
    """Keywords for `from_pretrained`, derived from the parameter declarations.

    `has_code`: the snapshot holds Python files whose hashes are in the lock; only then may they run.
    """
    group = group or Alone()
    given = keywords(config, "from_pretrained")
    # The snapshot is already the revision that was asked for.
    given.pop("revision", None)
    given["dtype"] = DTYPES[given["dtype"]]
    tensor_parallel = keywords(config, "distributed")
    if tensor_parallel.get("tp_size", 1) > 1:
        given["distributed_config"] = DistributedConfig(**tensor_parallel)
    else:
        given.setdefault("device_map", _own_device(config, group))
    given["trust_remote_code"] = has_code and given.get("trust_remote_code") is not False
    given["use_safetensors"] = True
    given.update(config.passthrough_kwargs.from_pretrained)
    given.pop("quantization_config", None)
    quantization = quantization_asked(config)
    if quantization is not None:
        given["quantization_config"] = quantization
    return given


def compile_keywords(config: ExperimentConfig) -> dict[str, Any] | None:
    """Keywords for `model.compile`, or None where no compilation is asked for."""
    if not config.pytorch.torch_compile:
        return None
    return {**keywords(config, "compile"), **config.passthrough_kwargs.compile}


def load_model(config: ExperimentConfig, sources: Sources, group: Group | None = None) -> LoadedModel:
    """Load model and tokenizer from one snapshot folder, and the adapter and draft model where the study names them.

    Raises:
        ExperimentFailure: the library refuses the combination, a kernel is not installed, or memory ran out.
    """
    group = group or Alone()
    set_threads(config, group)
    if config.pytorch.allow_tf32 is not None:
        torch.backends.cuda.matmul.allow_tf32 = config.pytorch.allow_tf32
        torch.backends.cudnn.allow_tf32 = config.pytorch.allow_tf32
    before = startup_devices()
    before.reset_peak_memory()
    boards = [] if on_processor(vars(config.pytorch)) else _boards_for(config, group, before)
    with library_call("load"), library_warnings() as said:
        read = _read(config, sources, group, before, boards)
    model = read.model
    devices = devices_holding(model)
    devices.make_current()
    # Before `LibraryState`: this changes the models, and the state is what they hold when an experiment begins.
    defaults = take_defaults(model, read.files)
    its_defaults = None if read.assistant_files is None else take_defaults(read.assistant, read.assistant_files)
    asked = compile_keywords(config)
    if asked is not None:
        compile_in_place(model, asked)
    return LoadedModel(
        model=model,
        tokenizer=read.tokenizer,
        assistant=read.assistant,
        devices=devices,
        state=LibraryState(model, read.assistant),
        load_keywords=read.given,
        compile_keywords=asked,
        load_s=read.load_s,
        load_peak_bytes=before.peak_memory_bytes(),
        resident_bytes=resident_bytes(model),
        defaults=defaults,
        assistant_defaults=its_defaults,
        checkpoint_quantization=read.quantized_by,
        warnings=(*read.warnings, *said.to_list()),
    )


@dataclass(frozen=True)
class _Read:
    """What the library read from the files, with the keywords it was given and the warnings of its load reports."""

    model: Any
    files: ModelFiles
    assistant: Any
    assistant_files: ModelFiles | None
    tokenizer: Any
    given: dict[str, Any]
    quantized_by: CheckpointQuantization | None
    load_s: float
    warnings: list[dict[str, str]]


def _read(
    config: ExperimentConfig, sources: Sources, group: Group, before: DeviceKind, boards: list[dict[str, Any]]
) -> _Read:
    """Read model, adapter, draft model and tokenizer; `load_s` is the time of the weights alone."""
    snapshot = sources.model.path
    given = load_keywords(config, has_code=sources.model.has_code, group=group)
    declared = _import_model_code(snapshot, trust_remote_code=given["trust_remote_code"])
    _prepare_quantizer(config, declared, given.get("quantization_config"))
    weights = snapshot
    if sources.model.quantized is not None:
        # These files contain their quantization; the library ignores, with a warning, one that is given beside it.
        weights = sources.model.quantized
        given.pop("quantization_config")
    kept = sources.model.quantized is not None
    files = read_model_files(weights, "the model")
    draft = None if sources.assistant is None else read_model_files(sources.assistant.path, "the draft model")
    require_fit(config, files, given, boards, quantized=kept)
    start = time.perf_counter()
    with memory_explained(config, files, None if kept else given["dtype"], boards):
        model, warnings = _from_pretrained(weights, "the model", given)
        if declared is None and not kept:
            check_formats(model, files.tensors)
        if sources.adapter is not None:
            report = model.load_adapter(str(sources.adapter.path), ignore_mismatched_sizes=True).to_dict()
            warnings += check_report(report, owner="the adapter", files="the adapter's files")
        model.eval()
        assistant, its_warnings = _assistant(config, sources.assistant, model)
        before.synchronize()
    load_s = time.perf_counter() - start
    refuse_offloading(config, model, boards)
    tokenizer = read_tokenizer(snapshot, trusted=given["trust_remote_code"])
    return _Read(model, files, assistant, draft, tokenizer, given, declared, load_s, [*warnings, *its_warnings])


def set_threads(config: ExperimentConfig, group: Group) -> None:
    """Set the threads of an operation: as the study asks, else the cores divided among the processes."""
    if config.cpu_threads is not None:
        torch.set_num_threads(config.cpu_threads)
    elif group.size > 1:
        cores = psutil.cpu_count(logical=False) or 1
        torch.set_num_threads(max(1, cores // group.size))


def _own_device(config: ExperimentConfig, group: Group) -> Any:
    """The GPU that the setup claims, all of them where it claims several; of several processes, one GPU per process."""
    if not torch.cuda.is_available():
        return "auto" if group.size == 1 else "cpu"
    if group.size > 1:
        return {"": torch.cuda.current_device()}
    spread = (config.pytorch.devices or 1) > 1 or config.pytorch.max_memory is not None
    return "auto" if spread else {"": 0}


def _boards_for(config: ExperimentConfig, group: Group, devices: DeviceKind) -> list[dict[str, Any]]:
    """The GPUs that hold one model: those of the setup, or the one of this process."""
    boards: list[dict[str, Any]] = devices.describe().get("devices", [])
    if config.pytorch.devices is not None and len(boards) < config.pytorch.devices:
        raise ExperimentFailure(
            "load",
            "TooFewDevices",
            f"pytorch.devices: {config.pytorch.devices}, but torch sees {len(boards)} GPUs here",
        )
    alone = group.size == 1 or (config.pytorch.tp_size or 1) > 1
    return boards if alone else boards[:1]


def _from_pretrained(folder: Path, owner: str, given: Mapping[str, Any]) -> tuple[Any, list[dict[str, str]]]:
    """The model and the warnings of its load report. ExperimentFailure where its files lack parameters."""
    # For a parameter of another shape the report names both shapes; the library's own error names none.
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, **{**given, "output_loading_info": True, "ignore_mismatched_sizes": True}
    )
    return model, check_report(report, owner=owner, files=f"{owner}'s files")


def _assistant(config: ExperimentConfig, source: Source | None, model: Any) -> tuple[Any, list[dict[str, str]]]:
    """The draft model, in the same number format, where the model's input goes; the warnings of its load report."""
    if source is None:
        return None, []
    trusted = source.has_code and config.pytorch.trust_remote_code is not False
    given = {
        "dtype": DTYPES[config.precision],
        "device_map": {"": input_device(model)},
        "trust_remote_code": trusted,
        "use_safetensors": True,
    }
    drafter, warnings = _from_pretrained(source.path, "the draft model", given)
    if drafter.config.get_text_config().vocab_size != model.config.get_text_config().vocab_size:
        raise ValueError(
            f"the draft model has {drafter.config.get_text_config().vocab_size} tokens and the model "
            f"{model.config.get_text_config().vocab_size}; draft models with another tokenizer are not measured"
        )
    return drafter.eval(), warnings


def _import_model_code(snapshot: Path, *, trust_remote_code: bool) -> CheckpointQuantization | None:
    """Import the architecture's module now, so that the load time does not contain Python's imports.

    Returns the quantization in config.json, None where there is none. ExperimentFailure for a method that the library
    does not know.
    """
    config = AutoConfig.from_pretrained(snapshot, trust_remote_code=trust_remote_code)
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    return declared_quantization(config)


def _prepare_quantizer(
    config: ExperimentConfig, declared: CheckpointQuantization | None, quantization: Any | None
) -> None:
    """Import what quantizes, for the same reason. quantization: what the study asks for, as the library's object

    ExperimentFailure where the study asks for it on top of the checkpoint's own, or where its package is missing.
    """
    asked = asked_as_written(config)
    if asked is not None:
        key, settings = asked
        refusal = not_for_checkpoint(declared, settings, quantization)
        if refusal is not None:
            raise ExperimentFailure("load", "QuantizationClash", f"{key}: {refusal}; {QUANTIZATION_CLASH.fix}")
    method = declared.method if declared is not None else str(getattr(quantization, METHOD, ""))
    if declared is not None and (lacking := missing_package(method)) is not None:
        raise ExperimentFailure("load", "MissingPackage", f"the checkpoint is quantized, and {lacking}")
    import_packages(method)
