"""What each setup cost, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from llenergymeasure.records.labels import Part
from llenergymeasure.records.measurement import WeightStorage
from llenergymeasure.results.report.experiments import Experiment, is_estimated
from llenergymeasure.results.report.formatting import Scale, unit_scale
from llenergymeasure.results.report.study_reading import Setup
from llenergymeasure.results.report.tables.cells import Cell, Head, unknown_cell
from llenergymeasure.results.report.truncation import shown
from llenergymeasure.results.tables.load_cost import Joules

NOT_MEASURED = "nothing of this setup was measured"
FAILED, NOT_RECORDED = "loading failed", "the record of the setup does not have it"
NOT_COMPILED = Cell("–", None, "nothing was compiled", None)


@dataclass(frozen=True)
class SetupRow:
    parts: list[Part]
    experiments: int
    failure: str | None
    cells: list[Cell]


@dataclass(frozen=True)
class SetupTable:
    heads: list[Head]
    rows: list[SetupRow]
    left_out: int


@dataclass(frozen=True)
class _Scales:
    """One scale per kind of column."""

    seconds: Scale
    joules: Scale
    bytes: Scale


def setup_table(setups: Sequence[Setup], experiments: Sequence[Experiment]) -> SetupTable:
    """One row per setup. Its record is of one load, so there is no interval."""
    scales = _Scales(
        seconds=Scale(1.0, "s"),
        joules=unit_scale("J", [setup.cost.load.energy_j for setup in setups]),
        bytes=unit_scale("bytes", [setup.cost.resident_bytes for setup in setups]),
    )
    sizes = Counter(experiment.setup_id for experiment in experiments)
    first = shown(setups)
    rows = [SetupRow(setup.parts, sizes[setup.setup_id], setup.failure, _cells(setup, scales)) for setup in first.rows]
    return SetupTable(_heads(scales), rows, first.left_out)


def _heads(scales: _Scales) -> list[Head]:
    return [
        Head("Load", scales.seconds.unit, "Time of from_pretrained until the device has finished."),
        Head("Load energy", scales.joules.unit, "Gross energy of that window."),
        Head("Compile", scales.seconds.unit, "Time of the first generation, in which everything is compiled."),
        Head("Compile energy", scales.joules.unit, "Gross energy of that window."),
        Head("Weights", scales.bytes.unit, "Bytes that the layers of the loaded model hold: weights, scales, buffers."),
        Head(
            "Bits per weight",
            "codes / stored",
            "Of linear layers and experts after the window: codes, and with scales.",
        ),
        Head("Peak while loading", scales.bytes.unit, "Highest memory in use while loading."),
    ]


def _cells(setup: Setup, scales: _Scales) -> list[Cell]:
    cost = setup.cost
    missing = NOT_RECORDED if setup.failure is None else FAILED
    compiled = cost.compile is not None or setup.failure is not None
    return [
        _cell(cost.load_s, scales.seconds, missing),
        _energy_cell(cost.load, scales.joules),
        _cell(cost.compile_s, scales.seconds, missing) if compiled else NOT_COMPILED,
        _energy_cell(cost.compile, scales.joules) if compiled else NOT_COMPILED,
        _cell(cost.resident_bytes, scales.bytes, missing),
        _bits_cell(setup.weight_storage, NOT_MEASURED if setup.failure is None else FAILED),
        _cell(cost.load_peak_bytes, scales.bytes, missing),
    ]


def _bits_cell(storage: WeightStorage | None, why_unknown: str) -> Cell:
    if storage is None or not storage.after_window:
        return unknown_cell(why_unknown if storage is None else "the model has no linear layer")
    classes = ", ".join(f"{group.layers} × {group.layer_class}" for group in storage.after_window)
    text = f"{storage.code_bits:.3g} / {storage.stored_bits:.3g}"
    return Cell(text, None, classes, storage.stored_bits)


def _cell(value: float | None, scale: Scale, why_unknown: str) -> Cell:
    return unknown_cell(why_unknown) if value is None else Cell(scale.value(value), None, "", value)


def _energy_cell(joules: Joules | None, scale: Scale) -> Cell:
    if joules is None or joules.energy_j is None:
        return unknown_cell(FAILED if joules is None else joules.reason or "")
    estimated = is_estimated(joules.source)
    return Cell(scale.value(joules.energy_j), None, joules.source or "", joules.energy_j, estimated=estimated)
