"""The same passes with the machine's own transformers: whether another version than the locked one behaves alike."""

from __future__ import annotations

from typing import Any

import transformers

from benchmarks.gpu.probes.decoding import prefill_only
from benchmarks.gpu.scale import Scale


def passes(scale: Scale) -> dict[str, Any]:
    return {"transformers": transformers.__version__, **prefill_only(scale)}


QUESTIONS = {"passes": passes}
