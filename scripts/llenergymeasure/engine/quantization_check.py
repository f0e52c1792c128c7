"""Ask the library about a study's quantization before anything is loaded: its keys, this machine, the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.config.problems.catalogue import LIBRARY_REFUSES, QUANTIZATION_CLASH, REQUIREMENT_UNMET
from llenergymeasure.config.problems.problem import Problem
from llenergymeasure.config.problems.text import show
from llenergymeasure.config.settings.model_ref import parse_model_ref
from llenergymeasure.engine.failure import KeyRefused, one_line
from llenergymeasure.engine.loading.checkpoint_quantization import (
    CheckpointQuantization,
    UnknownQuantization,
    not_for_checkpoint,
    quantization_in,
)
from llenergymeasure.engine.loading.load import DTYPES
from llenergymeasure.engine.loading.quantizer_needs import lacking
from llenergymeasure.engine.loading.quantizers import METHOD, asked_as_written, library_objection, quantization_asked

KEY = "pytorch.quantization_config"


def quantization_problems(config: ExperimentConfig) -> Iterator[Problem]:
    """Errors for what no machine can do, warnings for what this one lacks. Nothing where nothing is quantized."""
    asked = asked_as_written(config)
    if asked is None:
        return
    path, settings = asked
    try:
        quantization = quantization_asked(config)
    except KeyRefused as error:
        yield LIBRARY_REFUSES.problem(f"{KEY}.{error.key}", error.message, error.hint)
        return
    except ImportError as error:
        yield from _unmet(path, settings, one_line(error))
        return
    except Exception as error:  # noqa: BLE001 - the classes of 20 packages refuse in their own ways
        yield LIBRARY_REFUSES.problem(path, f"the library refuses it: {one_line(error)}")
        return
    known, declared = _of_folder(config)
    refusal = not_for_checkpoint(declared, settings, quantization) if known else None
    if refusal is not None:
        yield QUANTIZATION_CLASH.problem(path, refusal)
        return
    objection = library_objection(
        quantization, pre_quantized=None if not known else declared is not None, dtype=DTYPES[config.precision]
    )
    yield from _unmet(path, settings, objection)


def _unmet(path: str, settings: Mapping[str, Any], objection: str | None) -> Iterator[Problem]:
    """One warning per thing that this machine lacks; what the library says only where we know of nothing."""
    reasons = list(lacking(str(settings[METHOD]))) or ([] if objection is None else [f"the library says: {objection}"])
    for reason in reasons:
        yield REQUIREMENT_UNMET.problem(path, f"{show(settings[METHOD])}: {reason}")


def _of_folder(config: ExperimentConfig) -> tuple[bool, CheckpointQuantization | None]:
    """Whether the model's config.json can be read by now, and the quantization in it.

    Random and packaged models have none. A folder without a readable config.json is reported elsewhere.
    """
    ref = parse_model_ref(config.model)
    if ref.kind == "hub":
        return False, None
    if ref.kind != "folder":
        return True, None
    try:
        fields = json.loads((Path(config.model).expanduser() / "config.json").read_text(encoding="utf-8"))
        return True, quantization_in(fields)
    except (OSError, ValueError, AttributeError, UnknownQuantization):
        return False, None
