"""Probes of how the model was loaded: they count in the model that is in memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from llenergymeasure.engine.evidence.observe import Observation
from llenergymeasure.engine.evidence.quantization_probes import quantized_modules
from llenergymeasure.engine.evidence.registry import Probe, ProbeResult, probe
from llenergymeasure.engine.loading.load import DTYPES, TORCH_DTYPES

# Between the rounding of float32 (2⁻²⁴) and that of TF32 (2⁻¹¹).
TF32_ERROR = 2e-5


@probe("dtype")
def dtype(observation: Observation, requested: Any) -> ProbeResult:
    """Floating-point dtypes counted over the parameters that are not in quantized layers: these keep packed integers,
    and turn their biases into the compute type when they are called."""
    packed = quantized_modules(observation)
    counted: Counter[str] = Counter()
    for module in observation.model.modules():
        if id(module) not in packed:
            for parameter in module.parameters(recurse=False):
                counted[str(parameter.dtype).removeprefix("torch.")] += parameter.numel()
    floating = [name for name in counted if name in TORCH_DTYPES]
    names = {str(value).removeprefix("torch."): key for key, value in DTYPES.items()}
    effective = [names[name] for name in floating]
    shown = ", ".join(f"{name}: {number}" for name, number in sorted(counted.items()))
    return ProbeResult(
        effective[0] if len(effective) == 1 else effective,
        f"parameters by dtype: {shown}",
        effective == [requested],
    )


@probe("attention")
def attention(observation: Observation, requested: Any) -> ProbeResult:
    """The implementation that the instantiated attention layers dispatch to, how often torch's fused kernel was
    called for it (never for eager, in every layer for sdpa), and which kernels a decoding step ran."""
    layers = [module for module in observation.model.modules() if "attention" in type(module).__name__.lower()]
    used = _implementations(observation, layers)
    classes = sorted({type(module).__name__ for module in layers})
    effective = used.pop() if len(used) == 1 else sorted(used)
    observed = f"attention layers of class {', '.join(classes) or 'none'} use {effective}"
    kernels = None if observation.heard is None else observation.heard.attention_kernels
    named = "" if kernels is None else f"; a decoding step ran {', '.join(kernels) or 'no fused attention'}"
    if observation.heard is not None and observation.heard.attention_kernels_reason is not None:
        named = f"; which kernels ran is not known: {observation.heard.attention_kernels_reason}"
    if named_by_file := observation.loaded.defaults.attention:
        named += f"; the model's config.json sets {named_by_file[0]}"
    if observation.generated is not None and observation.generated.attention is not None and requested is not None:
        # The library adds the prefix itself.
        requested = requested.removeprefix("paged|")
    calls = None if observation.heard is None else observation.heard.sdpa_calls
    if calls is None:
        return ProbeResult(effective, observed + named, effective == requested)
    observed += f"; {calls} calls of scaled_dot_product_attention in a pass{named}"
    ran = {"sdpa": calls > 0, "eager": calls == 0}.get(str(effective), True) or not layers
    return ProbeResult(effective if ran else None, observed, effective == requested and ran)


def _implementations(observation: Observation, layers: list[Any]) -> set[str]:
    """Names of what the layers dispatch to. Continuous batching changes it for as long as its manager lives."""
    during = None if observation.generated is None else observation.generated.attention
    if during is not None:
        return {during.removeprefix("paged|")}
    used = {module.config._attn_implementation for module in layers if hasattr(module, "config")}
    return {str(name).removeprefix("paged|") for name in used or {observation.model.config._attn_implementation}}


@probe("compile")
def compiled(observation: Observation, requested: Any) -> ProbeResult:
    """The model's own compiled call, and the frames compiled since the experiment began, none of which the compiler
    gave up. What transformers compiles by itself, over a static cache, is called differently."""
    counted = dict(observation.compile_counts)
    if not counted:
        return ProbeResult(None, "nothing was generated yet", None)
    own = getattr(observation.model, "_compiled_call_impl", None) is not None
    by_library = getattr(observation.model, "_compiled_call", None) is not None
    effective = own and counted["frames_compiled"] > 0 and not counted["recompile_limits"]
    who = "the model's own call is" + (" compiled" if own else " not compiled")
    who += "; transformers compiled its decoding step" if by_library else ""
    window = observation.window_counts
    note = "" if window is None else f"; {window['frames_seen']} more frames while the window was open"
    return ProbeResult(effective, f"{who}; {_shown(counted)}{note}", effective == bool(requested))


def _shown(counted: dict[str, int]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in counted.items())


@probe("compile_mode")
def compile_mode(observation: Observation, requested: Any) -> ProbeResult:
    """The options that the mode stands for, in the configuration that the compiled call holds; for a mode with CUDA
    graphs, on a device that has them, the graphs that were recorded and those that were refused."""
    held = _compiler_options(observation.model)
    frames = observation.compile_counts.get("frames_compiled", 0)
    if held is None:
        return ProbeResult(None, "the compiled call has no options of inductor", None if frames else False)
    wanted = torch._inductor.list_mode_options(requested) if requested not in (None, "default") else {}
    # The library writes some names with a dash that the configuration has with an underscore.
    in_force = {name: held.get(name.replace("-", "_")) for name in wanted}
    replayed, graphs = _graphs(observation, requested)
    agrees = in_force == wanted and frames > 0 and replayed
    shown = ", ".join(f"{name} = {value}" for name, value in in_force.items()) or "no option of a mode"
    return ProbeResult(
        requested if agrees else None, f"the compiled call has {shown}; {frames} frames compiled{graphs}", agrees
    )


def _graphs(observation: Observation, mode: str | None) -> tuple[bool | None, str]:
    """Whether CUDA graphs are replayed where the mode asks for them (None where that cannot be known), and their number
    in words."""
    options = torch._inductor.list_mode_options(mode) if mode not in (None, "default") else {}
    if not options.get("triton.cudagraphs") or not observation.loaded.devices.replays_graphs:
        return True, ""
    recorded = observation.compile_counts.get("graphs_recorded", 0)
    skipped = observation.compile_counts.get("cudagraph_skips", 0)
    # Where a thread of the library generates, inductor's managers are that thread's.
    if not recorded and not skipped and observation.generated is not None and observation.generated.inference is None:
        return None, ", CUDA graphs are recorded in a thread of the library, where they cannot be counted"
    return recorded > 0 and not skipped, f", {recorded} CUDA graphs recorded, {skipped} refused"


@probe("compile_backend")
def compile_backend(observation: Observation, requested: Any) -> ProbeResult:
    """The compiler that the compiled call holds, and the frames it compiled."""
    name = _compiler_name(observation.model)
    frames = observation.compile_counts.get("frames_compiled", 0)
    if name is None:
        return ProbeResult(None, "the model has no compiled call", False)
    return ProbeResult(
        name, f"the compiled call has {name}; {frames} frames compiled", name == requested and frames > 0
    )


def _compiler_options(model: Any) -> dict[str, Any] | None:
    call = getattr(model, "_compiled_call_impl", None)
    asked = getattr(call, "get_compiler_config", None)
    options: dict[str, Any] | None = asked() if asked is not None else None
    return options


def _compiler_name(model: Any) -> str | None:
    """The name of the backend at the end of the chain of wrappers around the compiled call."""
    call = getattr(model, "_compiled_call_impl", None)
    for cell in getattr(call, "__closure__", None) or ():
        step = cell.cell_contents
        while step is not None and not hasattr(step, "_compiler_name"):
            step = getattr(step, "_torchdynamo_orig_backend", None)
        if step is not None:
            return str(step._compiler_name)
    return None


@probe("compile_config")
def compile_config(observation: Observation, requested: Any) -> ProbeResult:
    """The configuration that transformers compiled its call with in this experiment, and the frames compiled."""
    if observation.generation_config is None:
        return ProbeResult(None, "nothing was generated", None)
    held = observation.generation_config.compile_config
    if requested is None:
        return ProbeResult(None, f"compile_config = {held}", True)
    used = getattr(observation.model, "_last_compile_config", None)
    if getattr(observation.model, "_compiled_call", None) is None or used is None:
        return ProbeResult(None, f"generation held {held}; transformers compiled nothing", False)
    frames = observation.compile_counts.get("frames_compiled", 0)
    values = {name: getattr(used, name, None) for name in requested}
    replayed, graphs = _graphs(observation, used.mode if used.backend == "inductor" else None)
    agrees = values == requested and frames > 0 and replayed
    return ProbeResult(
        values if agrees else None, f"transformers compiled with {values}; {frames} frames compiled{graphs}", agrees
    )


def _revision(role: str) -> Probe:
    def look(observation: Observation, requested: Any) -> ProbeResult:
        snapshot = observation.snapshot(role)
        if snapshot is None:
            return ProbeResult(None, "nothing was loaded", requested is None)
        observed = f"{snapshot.model} at {snapshot.revision}, whose file hashes were verified"
        return ProbeResult(snapshot.revision, observed, snapshot.revision == requested)

    look.__doc__ = "The revision in the record of the snapshot that was loaded, whose file hashes were verified."
    return look


probe("revision")(_revision("model"))
probe("assistant_revision")(_revision("assistant"))
probe("adapter_revision")(_revision("adapter"))


@probe("remote_code")
def remote_code(observation: Observation, requested: Any) -> ProbeResult:
    """Whether the model's class came from the model's repository."""
    kind = type(observation.model)
    loaded = kind.__module__.startswith("transformers_modules")
    observed = f"model class {kind.__module__}.{kind.__name__}"
    snapshot = observation.snapshot("model")
    if requested and not loaded and not (snapshot and snapshot.has_code):
        return ProbeResult(loaded, f"{observed}; the snapshot contains no code, so there was none to trust", None)
    return ProbeResult(loaded, observed, loaded == bool(requested))


@probe("adapter")
def adapter(observation: Observation, requested: Any) -> ProbeResult:
    """Layers of the model that peft replaced, the rank of their matrices, and the adapter that is switched on."""
    layers = [module for module in observation.model.modules() if hasattr(module, "lora_A") and len(module.lora_A)]
    if not layers:
        return ProbeResult(None, "no layer is adapted", requested is None)
    active = sorted({str(name) for module in layers for name in module.active_adapters})
    ranks = sorted({rank for module in layers for rank in module.r.values()})
    off = sum(bool(module.disable_adapters) for module in layers)
    observed = f"{len(layers)} adapted layers of rank {ranks}, adapter {', '.join(active)} on, {off} switched off"
    works = not off and bool(active)
    return ProbeResult(requested if works else None, observed, works and requested is not None)


@probe("tf32")
def tf32(observation: Observation, requested: Any) -> ProbeResult:
    """The error of a float32 product on the device: about 1e-7 in float32, 1e-4 to 1e-3 in TF32."""
    device = next((item.device for item in observation.model.parameters() if item.device.type == "cuda"), None)
    if device is None:
        return ProbeResult(None, "the model is not on a CUDA device, and only CUDA devices have TF32", None)
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 256, generator=generator).to(device) for _ in range(2))
    exact = left.double() @ right.double()
    error = float(((left @ right).double() - exact).abs().max() / exact.abs().max())
    effective = error > TF32_ERROR
    return ProbeResult(
        effective, f"largest error of a float32 product: {error:.1e} of its largest element", effective == requested
    )
