"""runs: one row per experiment and replicate, made from one record after the other."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from llenergymeasure.energy.ledger import primary_energy
from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.records.metrics import ENERGY_METRICS, METRICS
from llenergymeasure.records.study.plan import Plan
from llenergymeasure.results.statistics.instrument import instrument
from llenergymeasure.results.tables.measured_under import entries_of_window, instrument_name
from llenergymeasure.results.tables.output_match import OUTPUT_MATCH_KINDS, run_columns

# Separates the codes of a run's or an experiment's verdict.
CODES_APART = ";"
_TEXTS = (
    "experiment_id",
    "setup_id",
    "session_id",
    "status",
    "validity",
    "validity_codes",
    "failure_stage",
    "failure_class",
    "failure_reason",
    "log",
    "energy_source",
    "boundary",
    "output_digest",
    "energy_gains",
)
_FIGURES = (
    *METRICS,
    *(f"{metric}_u_{part}" for metric in ENERGY_METRICS for part in ("random", "gain", "other_gains")),
)
_KINDS = {
    "begun_unix_s": "Float64",
    **dict.fromkeys(_TEXTS, "string"),
    **dict.fromkeys(_FIGURES, "Float64"),
    "evidence_ok": "boolean",
}


def run_row(record: MeasurementRecord) -> dict[str, Any]:
    """Identity, status, why it is not ok, energy source, every metric (null where unknown)."""
    failure = record.failure
    return {
        "experiment_id": record.experiment_id,
        "setup_id": record.setup_id,
        "session_id": record.session_id,
        "replicate": record.replicate,
        "begun_unix_s": record.begun_unix_s,
        "status": record.status,
        "failure_stage": failure and failure.stage,
        "failure_class": failure and failure.error_class,
        "failure_reason": record.why_invalid if record.status == "invalid" else failure and failure.reason,
        "log": failure and failure.log,
        "energy_source": record.energy_source,
        "boundary": record.boundary,
        "evidence_ok": _evidence_ok(record),
        "output_digest": record.output_digest,
        "warnings": len({warning.code for warning in record.warnings}),
        "validity": record.validity and record.validity.verdict,
        "validity_codes": record.validity and CODES_APART.join(record.validity.codes()),
        "energy_gains": _gains(record),
        **_instrument(record),
        **{name: _number(record.metrics.get(name)) for name in METRICS},
        **run_columns(record),
    }


def runs_table(plan: Plan, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows in the plan's order, then by replicate. Columns are filled as the rows come: no record is kept."""
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    table = pd.DataFrame(
        {name: pd.array(values, dtype=_kind(name)) for name, values in columns.items()},
    )
    places = {name: place for place, name in enumerate(plan.experiments)}
    order = table["experiment_id"].map(places).to_frame("place").assign(replicate=table["replicate"])
    return table.loc[order.sort_values(["place", "replicate"]).index].reset_index(drop=True)


def _kind(name: str) -> Any:
    return {**_KINDS, **OUTPUT_MATCH_KINDS}.get(name, "int64")


def _instrument(record: MeasurementRecord) -> dict[str, float | None]:
    """Standard uncertainties of a run's energy figures: the part that is new in each window, and the shared gains."""
    return {
        f"{metric}_u_{part}": value
        for metric in ENERGY_METRICS
        for part, value in vars(instrument(record.budget.get(metric, ()))).items()
    }


def _gains(record: MeasurementRecord) -> str | None:
    """As JSON, of the gross energy: instrument → [its share, the bound of its gain's relative error].

    None where there is no figure, or where a meter states no uncertainty. An instrument is a domain of a device.
    """
    whole = primary_energy(record.energy, "generate")
    if not whole.energy_j or not whole.components:
        return None
    gains: dict[str, tuple[float, float]] = {}
    for entry in entries_of_window(record):
        if entry.energy_j and entry.source in (whole.source or "").split("+"):
            gain_j = math.hypot(*(part.standard_j for part in entry.components if part.kind == "gain"))
            share, bound = entry.energy_j / whole.energy_j, math.sqrt(3) * gain_j / abs(entry.energy_j)
            # Inside one study the host's name tells machines apart that have no id.
            own = f"{record.environment.hostname} {entry.device} {entry.domain}"
            name = instrument_name(entry, record.environment) or own
            gains[name] = (float(f"{share:.6g}"), float(f"{bound:.6g}"))
    return json.dumps(dict(sorted(gains.items())))


def _evidence_ok(record: MeasurementRecord) -> bool | None:
    if not record.evidence:
        return None
    return all(entry.verdict != "ignored" for entry in record.evidence.values())


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
