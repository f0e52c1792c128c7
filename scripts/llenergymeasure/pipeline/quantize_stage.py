"""The stage that quantizes a model once, for all setups that would quantize it the same way. Imports no torch."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from llenergymeasure.measurement.worker.manager import Damaged, LoadOrder, Manager, Refused
from llenergymeasure.models.quantized import empty_folder, publish_quantized, publish_refusal
from llenergymeasure.models.snapshot import Snapshot, SnapshotError, read_snapshot
from llenergymeasure.records.setup import LoadMemory


def run_quantize(
    intent: dict[str, Any], snapshot: Path, destination: Path, *, timeout_s: float, log: Path, environment: Any
) -> Snapshot:
    """Quantize the model in `snapshot`, write it to `destination`, read it again, and compare cost and content.

    Where reading takes longer than quantizing, or the library cannot write the weights or reads them differently, the
    artifact holds the reason instead of weights. SnapshotError when the model's files changed.
    """
    base = read_snapshot(snapshot)
    if base.refused is not None:
        return _refused(base, destination, base.refused)
    work = empty_folder(destination)
    order = LoadOrder(config=intent, snapshots={"model": snapshot}, compile_cache=None, timeout_s=timeout_s)
    try:
        with Manager(order, log) as manager:
            loaded = manager.load()
            kept = manager.ask({"do": "keep_quantized", "config": intent, "folder": str(work)})
    except Damaged as damaged:
        shutil.rmtree(work)
        raise SnapshotError(damaged.failure.reason) from damaged
    except Refused as refused:
        shutil.rmtree(work)
        failure = refused.failure
        return _refused(base, destination, f"{failure.error_class}: {failure.reason} (log: {failure.log})")
    cost = {
        "quantizing": {
            "load_s": loaded["load_s"],
            "load_peak_bytes": LoadMemory.from_plain(loaded["memory"]).load_peak_bytes,
            "energy": loaded["energy"],
        },
        "reading": {name: kept[name] for name in ("load_s", "load_peak_bytes", "energy")},
    }
    quantize_s, read_s = cost["quantizing"]["load_s"], cost["reading"]["load_s"]
    if read_s >= quantize_s:
        shutil.rmtree(work)
        return _refused(base, destination, f"reading them took {read_s:.3g} s, quantizing them {quantize_s:.3g} s")
    print(f"quantized in {quantize_s:.3g} s, read again in {read_s:.3g} s", file=sys.stderr, flush=True)
    notes = {"made_with": kept["made_with"], "settings": intent, "cost": cost, "environment": environment}
    return publish_quantized(base, work, destination, notes)


def _refused(base: Snapshot, destination: Path, reason: str) -> Snapshot:
    print(f"quantized weights are not kept: {reason}", file=sys.stderr, flush=True)
    return publish_refusal(base, destination, reason)
