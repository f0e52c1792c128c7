"""calibration.json: how a session's experiments were warmed up, and what every replicate of them will do."""

from __future__ import annotations

from llenergymeasure.records.measurement import PromptSource
from llenergymeasure.records.record import Record
from llenergymeasure.records.schema import SchemaVersion
from llenergymeasure.records.study.warmth import Warmth
from llenergymeasure.records.validity import Failure, Status


class CalibratedExperiment(Record):
    """Times in seconds, temperatures of the hottest device in °C. All but `status` is None where the warm-up failed.

    warmup_passes: that every replicate does; further ones may follow until its devices are warm
    latencies_s, temperatures_c, elapsed_s: one value per warm-up pass, at its end
    resolution_window_s: how long a window must be to be well below `energy_resolution`; None where no meter has edges
    expected_s: time that a replicate takes in a process that has the model loaded
    warmth: None where no device reports its temperature
    """

    status: Status
    failure: Failure | None
    warmup_passes: int | None = None
    measured_passes: int | None = None
    prefill_passes: int | None = None
    pass_s: float | None = None
    prefill_pass_s: float | None = None
    latencies_s: tuple[float, ...] | None = None
    temperatures_c: tuple[float | None, ...] | None = None
    elapsed_s: tuple[float, ...] | None = None
    cv: float | None = None
    stable: bool | None = None
    min_window_s: float | None = None
    energy_resolution: float | None = None
    resolution_window_s: float | None = None
    expected_s: float | None = None
    prompts: PromptSource | None = None
    prompts_digest: str | None = None
    warmth: Warmth | None = None


class WarmedUp(CalibratedExperiment):
    """An experiment's entry in the journal of the warm-up. startup_s: of the process that warmed it up, if one did."""

    experiment_id: str
    startup_s: float | None = None

    @property
    def calibrated(self) -> CalibratedExperiment:
        """The part that calibration.json has of it."""
        return CalibratedExperiment.from_plain(
            {name: value for name, value in self.to_plain().items() if name in CalibratedExperiment.model_fields}
        )


class SessionCalibration(Record):
    """The calibration of one session. `startup_s`: from starting the last worker until the model was loaded."""

    schema_version: SchemaVersion
    session_id: str
    setup_id: str
    fingerprint: str
    startup_s: float
    experiments: dict[str, CalibratedExperiment]

    @property
    def replicate_s(self) -> float:
        """Seconds that one replicate takes."""
        return self.startup_s + sum(item.expected_s or 0.0 for item in self.experiments.values())
