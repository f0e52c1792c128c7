"""How the model is loaded: processes, devices, number formats, revisions."""

from __future__ import annotations

from llenergymeasure.config.devices import devices_named, single_device
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.rules.relations import Rule, Values, rule, rules_among
from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.config.settings.pytorch import AUTOMATIC_MAPS


@rule(
    "processes-above-prompts",
    "error",
    "pytorch.num_processes",
    "n_prompts",
    says="`pytorch.num_processes` above `n_prompts`: a process would have no prompt",
    fix="raise n_prompts or lower pytorch.num_processes",
)
def idle_processes(value: Values) -> str | None:
    processes, prompts = value.given("pytorch.num_processes"), value.given("n_prompts")
    return None if processes <= prompts else f"{processes} processes share only {prompts} prompt{'s' * (prompts > 1)}"


@rule(
    "quantization-4bit-library-defaults",
    "warning",
    "pytorch.load_in_4bit",
    "pytorch.bnb_4bit_quant_type",
    "pytorch.bnb_4bit_compute_dtype",
    says="4-bit weights without a number format or compute type: the library uses fp4 and float32",
    fix="set pytorch.bnb_4bit_quant_type and pytorch.bnb_4bit_compute_dtype if you want other values",
)
def four_bit_defaults(value: Values) -> str | None:
    if not value.given("pytorch.load_in_4bit"):
        return None
    chosen = {"bnb_4bit_quant_type": "number format fp4", "bnb_4bit_compute_dtype": "compute type float32"}
    left = [text for name, text in chosen.items() if value.given(f"pytorch.{name}") is None]
    return f"4-bit weights get the library's {' and '.join(left)}" if left else None


@rule(
    "max-memory-needs-automatic-map",
    "error",
    "pytorch.max_memory",
    "pytorch.device_map",
    says="`pytorch.max_memory` needs an automatic `pytorch.device_map`: a fixed placement ignores it",
    fix=f"set pytorch.device_map to one of {', '.join(AUTOMATIC_MAPS)}, or remove this setting",
)
def memory_limits(value: Values) -> str | None:
    placement = value.given("pytorch.device_map")
    if placement is None or placement in AUTOMATIC_MAPS:
        return None
    return f"has no effect on the fixed placement pytorch.device_map: {show(placement)}"


@rule(
    "devices-clash-with-map",
    "error",
    "pytorch.devices",
    "pytorch.device_map",
    "pytorch.max_memory",
    says="`pytorch.devices` with a `pytorch.device_map` or `pytorch.max_memory` that names other devices",
    fix="remove pytorch.devices, or name only devices with a lower number",
)
def devices_and_map(value: Values) -> str | None:
    devices = value.given("pytorch.devices")
    placement = {name: value.given(f"pytorch.{name}") for name in ("device_map", "max_memory")}
    if single_device(placement["device_map"]) is not None:
        return f"clashes with the one device of pytorch.device_map: {show(placement['device_map'])}"
    beyond = sorted(number for number in devices_named(placement) if devices is not None and number >= devices)
    return f"gives the model GPUs 0 to {devices - 1}, but the study names GPU {beyond[0]}" if beyond else None


@rule(
    "flash-attention-needs-half-precision",
    "error",
    "pytorch.attn_implementation",
    "precision",
    says="flash attention needs `precision: fp16` or `precision: bf16`",
    fix="set precision: bf16 or fp16, or choose another pytorch.attn_implementation",
)
def flash_attention(value: Values) -> str | None:
    chosen = value.given("pytorch.attn_implementation")
    if "flash" not in chosen or value.given("precision") != "fp32":
        return None
    return f"{show(chosen)} has no kernel for precision: fp32"


@rule(
    "paged-attention-needs-continuous",
    "error",
    "pytorch.attn_implementation",
    "pytorch.batching",
    says="a paged `pytorch.attn_implementation` without `pytorch.batching: continuous`",
    fix="set pytorch.batching: continuous, or remove `paged|`",
)
def paged_attention(value: Values) -> str | None:
    chosen = value.given("pytorch.attn_implementation")
    if not chosen.startswith("paged|") or value.given("pytorch.batching") == "continuous":
        return None
    return f"{show(chosen)} reads a paged cache, which only continuous batching has"


def _needs_revisions(id: str, revision: str, model: str) -> Rule:
    @rule(
        id,
        "error",
        revision,
        model,
        says=f"`{revision}` for a folder or a random model, which have no revisions",
        fix=f"remove {revision}",
    )
    def find(value: Values) -> str | None:
        name = value.given(model)
        kind = parse_model_ref(name).kind if name is not None else "hub"
        return f"a {kind} model has no revisions" if kind in ("folder", "random") else None

    return find


model_revision = _needs_revisions("revision-needs-revisions", "pytorch.revision", "model")
assistant_revision = _needs_revisions(
    "assistant-revision-needs-revisions", "pytorch.assistant_revision", "pytorch.assistant_model"
)
adapter_revision = _needs_revisions("adapter-revision-needs-revisions", "pytorch.adapter_revision", "pytorch.adapter")


@rule(
    "remote-code-needs-code",
    "warning",
    "pytorch.trust_remote_code",
    "model",
    says="`pytorch.trust_remote_code: true` for a package or a random model, which come without code",
    fix="remove pytorch.trust_remote_code",
)
def remote_code(value: Values) -> str | None:
    if not value.given("pytorch.trust_remote_code"):
        return None
    kind = parse_model_ref(value.given("model")).kind
    return f"a {kind} model comes without code" if kind in ("package", "random") else None


RULES = rules_among(globals())
