"""Probes of devices and processes: where the parameters are, who generates what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from llenergymeasure.engine.evidence.observe import Observation
from llenergymeasure.engine.evidence.registry import ProbeResult, probe

AUTOMATIC = (None, "auto", "balanced", "balanced_low_0", "sequential")


@probe("device_map")
def device_map(observation: Observation, requested: Any) -> ProbeResult:
    """The device that each part of the model is on, against the map that was asked for."""
    placed = sorted({str(parameter.device) for parameter in observation.model.parameters()})
    used = getattr(observation.model, "hf_device_map", None)
    boards = _boards(placed)
    split = f"split over {len(boards)} boards, which work one after the other: " if len(boards) > 1 else ""
    observed = f"{split}parameters on {', '.join(_name(device) for device in placed)}"
    observed += f"; map {used}" if used else ""
    if isinstance(requested, dict):
        agrees = all(
            _is_where_asked(name, parameter.device, requested, used)
            for name, parameter in observation.model.named_parameters()
        )
        return ProbeResult(requested if agrees else used or placed, observed, agrees)
    if requested in AUTOMATIC:
        return ProbeResult(
            requested or _chosen(observation), observed, requested is None or used is not None or len(placed) == 1
        )
    wanted = torch.device(requested)
    agrees = all(
        torch.device(name).type == wanted.type and wanted.index in (None, torch.device(name).index) for name in placed
    )
    return ProbeResult(requested if agrees else placed, observed, agrees)


def _is_where_asked(name: str, there: torch.device, asked: Mapping[str, Any], used: Mapping[str, Any] | None) -> bool:
    """Whether a parameter is where the study's mapping puts its module; what the mapping does not name may be anywhere.

    used: the library's own mapping, None where it put the whole model on one device that needs none
    """
    wanted = _place(name, asked)
    if wanted is None:
        return True
    if there.type == "meta":
        # Offloaded: only the library's mapping says where to.
        return used is not None and str(_place(name, used)) == str(wanted)
    if wanted == "disk":
        return False
    device = torch.device("cuda", wanted) if isinstance(wanted, int) else torch.device(wanted)
    return device.type == there.type and device.index in (None, there.index)


def _place(name: str, mapping: Mapping[str, Any]) -> Any | None:
    """The value of the module closest to that parameter; the module without a name is the whole model."""
    inside = [module for module in mapping if not module or name == module or name.startswith(f"{module}.")]
    return mapping[max(inside, key=len)] if inside else None


def _chosen(observation: Observation) -> str:
    """What this pipeline passed where the study does not set it."""
    given = observation.loaded.load_keywords.get("device_map", "the tensor-parallel plan")
    return f"cuda:{given['']}" if isinstance(given, dict) else str(given)


def _boards(places: Iterable[str]) -> list[str]:
    """Those of some devices that are GPUs."""
    return [place for place in places if torch.device(place).type == "cuda"]


@probe("devices")
def devices(observation: Observation, requested: Any) -> ProbeResult:
    """The GPUs that hold parameters, of those that the process sees."""
    used = _boards(sorted({str(parameter.device) for parameter in observation.model.parameters()}))
    observed = f"parameters on {', '.join(used) or 'no GPU'}; {torch.cuda.device_count()} visible"
    return ProbeResult(len(used), observed, requested is None or len(used) == requested)


@probe("max_memory")
def max_memory(observation: Observation, requested: Any) -> ProbeResult:
    """Bytes of parameters on each device against the limit for it; what fits nowhere is offloaded."""
    from accelerate.utils import convert_file_size_to_int

    held: Counter[str] = Counter()
    for parameter in observation.model.parameters():
        held[_memory_key(parameter.device)] += parameter.numel() * parameter.element_size()
    observed = f"parameter bytes by device: {dict(held)}"
    if not requested:
        return ProbeResult(None, observed, True)
    limits = {str(name): convert_file_size_to_int(limit) for name, limit in requested.items()}
    agrees = all(number <= limits.get(name, 0) for name, number in held.items() if name != "offloaded")
    return ProbeResult(requested if agrees else dict(held), observed, agrees)


def _memory_key(device: torch.device) -> str:
    if device.type == "meta":
        return "offloaded"
    return str(device.index or 0) if device.type == "cuda" else device.type


def _name(device: str) -> str:
    # Parameters that accelerate brings in for each step are empty in between.
    return "offloaded (brought in for each step)" if device == "meta" else device


@probe("replicas")
def replicas(observation: Observation, requested: Any) -> ProbeResult:
    """The processes that generate: their ids, their devices, and their share of the prompts."""
    if (tensor_parallel_ranks(observation) or 1) > 1:
        return ProbeResult(1, "the processes share one model", requested in (None, 1))
    processes = list(observation.replicas) or [observation.replica()]
    pids = {item.pid for item in processes}
    shares = [item.prompts for item in processes]
    described = [
        f"process {item.pid} on {item.device} with {'no prompts yet' if item.prompts is None else item.prompts}"
        for item in processes
    ]
    working = all(share is None or share > 0 for share in shares)
    agrees = len(pids) == (requested or 1) and working
    return ProbeResult(len(pids), "; ".join(described), agrees)


@probe("tp_size")
def tp_size(observation: Observation, requested: Any) -> ProbeResult:
    """The processes among which the model's weights are divided."""
    ranks = tensor_parallel_ranks(observation)
    divided, whole = _divided(observation)
    return ProbeResult(
        ranks or 1,
        f"{divided} parameters are divided among {ranks or 1} processes, {whole} are whole",
        (ranks or 1) == requested,
    )


@probe("tp_plan")
def tp_plan(observation: Observation, requested: Any) -> ProbeResult:
    """Which parameters are divided, and along which dimension."""
    from torch.distributed.tensor import DTensor

    kinds = Counter(
        str(tuple(parameter.placements))
        for parameter in observation.model.parameters()
        if isinstance(parameter, DTensor)
    )
    shown = ", ".join(f"{number} as {kind}" for kind, number in sorted(kinds.items())) or "none"
    return ProbeResult(requested if kinds else None, f"divided parameters: {shown}", bool(kinds) == bool(requested))


def _divided(observation: Observation) -> tuple[int, int]:
    from torch.distributed.tensor import DTensor

    every = list(observation.model.parameters())
    divided = sum(isinstance(parameter, DTensor) for parameter in every)
    return divided, len(every) - divided


def tensor_parallel_ranks(observation: Observation) -> int | None:
    """Processes of the mesh that the model's parameters are divided over; None where none is."""
    if not torch.distributed.is_available():
        return None
    from torch.distributed.tensor import DTensor

    for parameter in observation.model.parameters():
        if isinstance(parameter, DTensor):
            return int(parameter.device_mesh.size())
    return None


@probe("cpu_threads")
def cpu_threads(observation: Observation, requested: Any) -> ProbeResult:
    """Threads that torch uses inside an operation, in each process."""
    counts = sorted({item.threads for item in observation.replicas} or {torch.get_num_threads()})
    effective = counts[0] if len(counts) == 1 else counts
    return ProbeResult(effective, "torch.get_num_threads()", effective == requested)
