"""Probes of how the model was loaded: they count in the model that is in memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from llenergymeasure.engine.evidence.observe import Observation
from llenergymeasure.engine.evidence.registry import Finding, probe
from llenergymeasure.engine.load import DTYPES, TORCH_DTYPES

PACKED = (torch.int8, torch.uint8)


@probe("dtype")
def dtype(seen: Observation, requested: Any) -> Finding:
    """Floating-point dtypes counted over parameters; quantized modules keep their packed integers apart."""
    counted: Counter[str] = Counter()
    for parameter in seen.model.parameters():
        counted[str(parameter.dtype).removeprefix("torch.")] += parameter.numel()
    floating = [name for name in counted if name in TORCH_DTYPES]
    names = {str(value).removeprefix("torch."): key for key, value in DTYPES.items()}
    effective = [names[name] for name in floating]
    shown = ", ".join(f"{name}: {number}" for name, number in sorted(counted.items()))
    return Finding(
        effective[0] if len(effective) == 1 else effective,
        f"parameters by dtype: {shown}",
        effective == [requested],
    )


@probe("attention")
def attention(seen: Observation, requested: Any) -> Finding:
    """The implementation that the instantiated attention layers dispatch to."""
    used = {
        module.config._attn_implementation
        for name, module in seen.model.named_modules()
        if "attention" in type(module).__name__.lower() and hasattr(module, "config")
    } or {seen.model.config._attn_implementation}
    classes = sorted(
        {
            type(module).__name__
            for _, module in seen.model.named_modules()
            if "attention" in type(module).__name__.lower()
        }
    )
    effective = used.pop() if len(used) == 1 else sorted(used)
    return Finding(effective, f"attention layers of class {', '.join(classes) or 'none'}", effective == requested)


def _quantized(model: Any) -> Counter[str]:
    return Counter(
        type(module).__name__
        for module in model.modules()
        if type(module).__module__.startswith("bitsandbytes") and type(module).__name__.startswith("Linear")
    )


@probe("quantization")
def load_in_4bit(seen: Observation, requested: Any) -> Finding:
    """Linear layers that bitsandbytes replaced, by the number of bits they store."""
    return _bits(seen, requested, "Linear4bit")


@probe("quantization_8bit")
def load_in_8bit(seen: Observation, requested: Any) -> Finding:
    """Linear layers that bitsandbytes replaced by its 8-bit ones."""
    return _bits(seen, requested, "Linear8bitLt")


def _bits(seen: Observation, requested: Any, wanted: str) -> Finding:
    counted = _quantized(seen.model)
    packed = sum(
        parameter.numel() * parameter.element_size()
        for parameter in seen.model.parameters()
        if parameter.dtype in PACKED
    )
    effective = counted[wanted] > 0
    return Finding(
        effective,
        f"{counted[wanted]} layers of class {wanted}, {packed} bytes of packed weights, "
        f"{seen.loaded.resident_bytes} bytes in all",
        effective == bool(requested),
    )


def _quant_states(seen: Observation) -> list[Any]:
    return [
        module.weight.quant_state
        for module in seen.model.modules()
        if type(module).__name__ == "Linear4bit" and getattr(module.weight, "quant_state", None) is not None
    ]


@probe("quant_type")
def quant_type(seen: Observation, requested: Any) -> Finding:
    """The 4-bit code book in the quantization state of each layer."""
    found = sorted({state.quant_type for state in _quant_states(seen)})
    return _single(found, requested, "quantization states")


@probe("quant_double")
def quant_double(seen: Observation, requested: Any) -> Finding:
    """Whether the scales are quantized a second time (nested state)."""
    found = sorted({bool(state.nested) for state in _quant_states(seen)})
    return _single(found, requested, "nested flag of the quantization states")


@probe("quant_compute_dtype")
def quant_compute_dtype(seen: Observation, requested: Any) -> Finding:
    """The dtype in which 4-bit layers multiply."""
    found = sorted(
        {
            str(module.compute_dtype).removeprefix("torch.")
            for module in seen.model.modules()
            if type(module).__name__ == "Linear4bit"
        }
    )
    return _single(found, requested, "compute_dtype of the 4-bit layers")


def _single(found: list[Any], requested: Any, what: str) -> Finding:
    effective = found[0] if len(found) == 1 else (found or None)
    return Finding(effective, f"{what}: {found or 'none'}", effective == requested)


@probe("compile")
def compiled(seen: Observation, requested: Any) -> Finding:
    """Frames the compiler produced code for, since the process started."""
    counted = dict(seen.compile_counts)
    if not counted:
        return Finding(None, "nothing was generated yet", None)
    effective = counted["frames_compiled"] > 0
    window = seen.window_counts
    note = "" if window is None else f"; {window['frames_seen']} more frames while the window was open"
    return Finding(effective, f"{_shown(counted)}{note}", effective == bool(requested))


def _shown(counted: dict[str, int]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in counted.items())


@probe("compile_mode", "compile_backend")
def compile_option(seen: Observation, requested: Any) -> Finding:
    """Mode and backend are arguments of the compiled call; they are seen where code was compiled with them."""
    asked = seen.loaded.compile_keywords or {}
    if requested in asked.values() and seen.compile_counts.get("frames_compiled"):
        return Finding(requested, f"model.compile({asked}) and {_shown(dict(seen.compile_counts))}", True)
    return Finding(None, "nothing was compiled", False)


@probe("device_map")
def device_map(seen: Observation, requested: Any) -> Finding:
    """The device each shard is on, against the map that was asked for."""
    placed = sorted({str(parameter.device) for parameter in seen.model.parameters()})
    used = getattr(seen.model, "hf_device_map", None)
    observed = f"parameters on {', '.join(placed)}" + (f"; map {used}" if used else "")
    if isinstance(requested, dict):
        agrees = used is not None and all(str(used.get(name)) == str(device) for name, device in requested.items())
        return Finding(used, observed, agrees)
    if requested in (None, "auto", "balanced", "balanced_low_0", "sequential"):
        return Finding(requested or "auto", observed, True)
    wanted = torch.device(requested)
    agrees = all(
        torch.device(name).type == wanted.type and wanted.index in (None, torch.device(name).index) for name in placed
    )
    return Finding(placed[0] if len(placed) == 1 else placed, observed, agrees)


@probe("max_memory")
def max_memory(seen: Observation, requested: Any) -> Finding:
    """Bytes of parameters on each device against the limit for it."""
    from accelerate.utils import convert_file_size_to_int

    held: Counter[str] = Counter()
    for parameter in seen.model.parameters():
        held[_memory_key(parameter.device)] += parameter.numel() * parameter.element_size()
    observed = f"parameter bytes by device: {dict(held)}"
    if not requested:
        return Finding(None, observed, True)
    limits = {str(name): convert_file_size_to_int(limit) for name, limit in requested.items()}
    agrees = all(number <= limits.get(name, 0) for name, number in held.items() if name != "meta")
    return Finding(requested if agrees else dict(held), observed, agrees)


def _memory_key(device: torch.device) -> str:
    return str(device.index or 0) if device.type == "cuda" else device.type


@probe("revision")
def revision(seen: Observation, requested: Any) -> Finding:
    """The revision of the snapshot that was loaded, whose file hashes were verified."""
    return Finding(seen.revision, "revision recorded in the verified snapshot", seen.revision == requested)


@probe("remote_code")
def remote_code(seen: Observation, requested: Any) -> Finding:
    """Whether the model's class came from the model's repository."""
    loaded = type(seen.model).__module__.startswith("transformers_modules")
    observed = f"model class {type(seen.model).__module__}.{type(seen.model).__name__}"
    if requested and not seen.has_code:
        return Finding(loaded, f"{observed}; the snapshot holds no code, so there was none to trust", None)
    return Finding(loaded, observed, loaded == bool(requested))


@probe("replicas")
def replicas(_: Observation, requested: Any) -> Finding:
    """Worker processes that generate: this one."""
    return Finding(1, "one process generates", requested in (None, 1))


@probe("cpu_threads")
def cpu_threads(_: Observation, requested: Any) -> Finding:
    """Threads torch uses inside an operation."""
    threads = torch.get_num_threads()
    return Finding(threads, "torch.get_num_threads()", threads == requested)
