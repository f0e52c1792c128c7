"""What the worker reports of a load, of compiling and of reading quantized weights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llenergymeasure.energy import LedgerEntry, Window
from llenergymeasure.engine.devices import cuda_libraries
from llenergymeasure.engine.generation.padding import embedding_rows, padding_replaced
from llenergymeasure.engine.loading.load import LoadedModel
from llenergymeasure.engine.loading.quantized import made_with
from llenergymeasure.engine.replicas import Group
from llenergymeasure.measurement.weights_source import QuantizedWeights
from llenergymeasure.records.finding import warning


def load_record(
    loaded: LoadedModel,
    group: Group,
    *,
    ledger: Iterable[LedgerEntry],
    weights: QuantizedWeights,
    evidence: Mapping[str, Any],
    devices: Mapping[str, Any],
    meters: Mapping[str, Any],
    warnings: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """Cost, memory and evidence of a load. Every process of the group has to call it."""
    return {
        "load_s": loaded.load_s,
        "energy": energy_part(ledger),
        "memory": load_memory_part(loaded, group),
        "quantized_weights": weights.to_dict(),
        "evidence": evidence,
        "devices": devices,
        "libraries": cuda_libraries(),
        "meters": meters,
        "warnings": warnings,
        "parameters": _parameters(loaded),
        "worker_pid": os.getpid(),
    }


def _parameters(loaded: LoadedModel) -> int:
    """How many numbers the model has; packed ones are counted in the architecture, since a tensor holds several."""
    if getattr(loaded.model, "hf_quantizer", None) is not None:
        return loaded.architecture.parameters
    return sum(parameter.numel() for parameter in loaded.model.parameters())


def compile_record(window: Window, counts: Mapping[str, int], evidence: Mapping[str, Any]) -> dict[str, Any]:
    """counts: what torch's compiler did in the window"""
    return {
        "compile_s": window.duration_s,
        "energy": energy_part(window.entries),
        "counts": counts,
        "evidence": evidence,
    }


def quantized_record(loaded: LoadedModel, window: Window) -> dict[str, Any]:
    """What it took to read the quantized weights, and what they were made with."""
    return {
        "made_with": made_with(),
        "load_s": loaded.load_s,
        "load_peak_bytes": loaded.load_peak_bytes,
        "energy": energy_part(window.entries),
    }


def energy_part(entries: Iterable[LedgerEntry]) -> list[dict[str, Any]]:
    return [entry.to_dict() for entry in entries]


def load_memory_part(loaded: LoadedModel, group: Group) -> dict[str, Any]:
    """Summed over the processes."""
    return {
        "load_peak_bytes": sum(group.gather(loaded.load_peak_bytes)),
        "resident_bytes": sum(group.gather(loaded.resident_bytes)),
        "source": loaded.devices.memory_source,
    }


def padding_warnings(loaded: LoadedModel) -> list[dict[str, str]]:
    """A warning where the tokenizer's own padding could not be used."""
    message = padding_replaced(loaded.tokenizer, embedding_rows(loaded.model))
    return [] if message is None else [warning("padding-replaced", message)]
