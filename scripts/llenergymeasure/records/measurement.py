"""One line of measurements.jsonl: an experiment, measured in one replicate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from llenergymeasure.records.evidence import SettingEvidence
from llenergymeasure.records.labels import value_label
from llenergymeasure.records.ledger import Distribution, Kind, LedgerEntry
from llenergymeasure.records.machine import Devices, EnvironmentRecord, Meters
from llenergymeasure.records.record import Record
from llenergymeasure.records.schema import SchemaVersion
from llenergymeasure.records.study.warmth import Warmth
from llenergymeasure.records.validity import Failure, Status, Validity, WarningRecord


class BudgetRow(Record):
    """A contribution to the uncertainty of a metric, in the metric's unit."""

    name: str
    standard_uncertainty: float
    kind: Kind
    distribution: Distribution


class Phases(Record):
    """The two ways of finding the prefill energy, in joules per request: a window of its own, and the trace.

    allowed_j: what their uncertainty allows them to differ by (95 %)
    """

    prefill_window_j: float
    prefill_trace_j: float
    difference_j: float
    allowed_j: float
    agrees: bool


class OutputMatch(Record):
    """The output against the reference's. Figures are None where the two cannot be compared; `reason` says why.

    first_difference: index of the first token that differs, over all requests, from 0
    equal_token_share: positions with the reference's token over all positions, from 0 to 1
    reference_logprob_mean: mean natural logarithm of the probability of the reference's tokens
    """

    reference: str
    comparable: bool
    reason: str | None
    requests: int | None
    identical: bool | None
    identical_requests: int | None
    first_difference: int | None
    equal_token_share: float | None
    reference_tokens: int | None
    reference_logprob_mean: float | None
    logprob_reason: str | None


class SnapshotRecord(Record):
    """The model's files."""

    model: str
    source: str
    revision: str | None
    content_digest: str


class TokenCounts(Record):
    """Input tokens of the prompts."""

    min: int
    mean: float
    max: int


class PromptSource(Record):
    """Where prompts come from and what was done to them."""

    source: str
    name: str | None
    revision: str | None
    path: str | tuple[str, ...] | None
    column: str | None
    messages: str | None
    file_sha256: str | None
    n: int
    kinds: dict[str, int]
    input_tokens: TokenCounts
    truncated: int
    skipped: int
    sample_seed: int | None
    min_tokens: int | None
    max_tokens: int | None
    chat_template: str | None
    message_content: str | None
    system_prompt: str | None
    chat_template_kwargs: dict[str, Any] | None


class PromptsRecord(PromptSource):
    """The prompts that were measured; `digest` is over their token ids."""

    digest: str


class UsedCalibration(Record):
    """What the calibration asked for. Its trajectory is in the calibration's own record, so it is None here."""

    warmup_passes: int
    measured_passes: int
    prefill_passes: int
    pass_s: float
    prefill_pass_s: float
    latencies_s: None
    temperatures_c: None
    elapsed_s: None
    cv: float | None
    stable: bool
    min_window_s: float
    energy_resolution: float
    resolution_window_s: float | None
    warmth: Warmth | None = None


class ThermalRecord(Record):
    """How a run reached its temperature. °C of the hottest device, None where no device reports it; seconds.

    target_c: the study's on this board; goal_c: what this experiment was brought to, the target or where it comes to
        rest below it; window_c: where this window began; within_band: whether that is near the goal
    end_c: where this experiment's calibration ended; off_c: how far the window may be from the target
    power_per_c_w: more power per °C, with its standard uncertainty; None where no warm-up shows it
    """

    target_c: float | None
    start_c: float | None
    cooled_s: float
    extra_passes: int
    window_c: float | None
    within_band: bool
    goal_c: float | None = None
    end_c: float | None = None
    off_c: float | None = None
    power_per_c_w: float | None = None
    power_per_c_standard_w: float | None = None


class MemoryMoment(Record):
    """Memory of one kind at one moment, in bytes. None where it is not known."""

    in_use_bytes: int
    private_bytes: int
    reserved_bytes: int | None
    fragmented_bytes: int | None


class DriverMemoryRecord(Record):
    """What the driver counts for this experiment's processes; None with the reason."""

    bytes: int | None
    reason: str | None
    source: str


class MemoryRecord(Record):
    """Memory after everything was given back, and when the window opened.

    left_behind_bytes: by how much the experiment before made it grow; None for the first one of a process
    """

    at_start: MemoryMoment
    at_window: MemoryMoment
    left_behind_bytes: int | None
    peak_is_of_the_window: bool
    driver: DriverMemoryRecord


class QuantizedRecord(Record):
    """Which artifact quantized weights were read from, or why the process quantized them itself.

    cost: `quantizing` (once) and `reading` (in every process), each with seconds, bytes and ledger
    """

    read_from: str | None
    content_digest: str | None
    reason: str | None
    cost: dict[str, Any] | None


class WeightGroup(Record):
    """Linear layers and fused experts of one class that store their weights alike.

    weights: their number in the architecture without quantization
    code_bits: per weight, without scales; stored_bits: per weight, with everything the layers hold but their biases
    """

    layers: int
    weights: int
    layer_class: str
    weight_class: str
    dtypes: tuple[str, ...]
    code_bits: float
    stored_bits: float


class WeightStorage(Record):
    """How the weights are stored in memory: when they were loaded, and after the measured window."""

    at_load: tuple[WeightGroup, ...]
    after_window: tuple[WeightGroup, ...]

    @property
    def code_bits(self) -> float:
        """Mean over the weights, after the measured window, without scales."""
        return self._mean("code_bits")

    @property
    def stored_bits(self) -> float:
        """Mean over the weights, after the measured window, with scales."""
        return self._mean("stored_bits")

    def _mean(self, name: str) -> float:
        weights = sum(group.weights for group in self.after_window)
        return float(sum(getattr(group, name) * group.weights for group in self.after_window) / weights)


class Conditions(Record):
    """What the meters noted beside the energy, by window; each meter and watcher has facts of its own."""

    generate: dict[str, Any]
    prefill: dict[str, Any]
    idle_resident: tuple[dict[str, Any], ...]


class MeasurementHead(Record):
    """What is known of a measurement before it begins.

    begun_unix_s: when its process was asked for it, by the machine's clock; weights: digests of the snapshots by role
    """

    schema_version: SchemaVersion
    experiment_id: str
    session_id: str
    setup_id: str
    replicate: int
    begun_unix_s: float
    config: dict[str, Any]
    environment: EnvironmentRecord
    weights: dict[str, str]


class MeasurementRecord(MeasurementHead):
    """The whole line. For a failed experiment, `failure` says why, and what is not known is None or empty.

    metrics: name → figure, None where `unknown` has the reason; budget: of each energy metric
    """

    status: Status
    failure: Failure | None
    validity: Validity | None
    evidence: dict[str, SettingEvidence]
    energy: tuple[LedgerEntry, ...]
    metrics: dict[str, int | float | None]
    unknown: dict[str, str]
    budget: dict[str, tuple[BudgetRow, ...]]
    phases: Phases | None
    energy_source: str | None
    output_digest: str | None
    output_match: OutputMatch | None
    warnings: tuple[WarningRecord, ...]
    worker_pid: int | None
    prompts: PromptsRecord | None
    generation_config: dict[str, Any] | None
    attention_kernels: tuple[str, ...] | None
    calibration: UsedCalibration | None
    thermal: ThermalRecord | None
    graph_passes: int | None
    conditions: Conditions | None
    snapshot: SnapshotRecord | None
    quantized_weights: QuantizedRecord | None
    devices: Devices | None
    memory: MemoryRecord | None
    meters: Meters | None
    weight_storage: WeightStorage | None = None

    @property
    def why_invalid(self) -> str:
        """Which settings did not take effect, with what was observed instead; or what else makes the run invalid."""
        ignored = [
            f"{path} = {value_label(entry.requested)} did not take effect ({entry.observed})"
            for path, entry in self.evidence.items()
            if entry.verdict == "ignored"
        ]
        others = [
            reason.message
            for reason in (() if self.validity is None else self.validity.reasons)
            if reason.severity == "invalid" and reason.code != "setting-ignored"
        ]
        return "; ".join([*ignored, *others])

    @classmethod
    def failed(cls, head: Mapping[str, Any], failure: Failure) -> Self:
        """The record of an experiment that gave no figures. head: the keys of `MeasurementHead`."""
        unknown: dict[str, Any] = dict.fromkeys(cls.model_fields)
        empty: dict[str, Any] = {name: {} for name in ("evidence", "metrics", "unknown", "budget")}
        return cls.from_plain(
            {
                **unknown,
                **empty,
                "energy": [],
                "warnings": [],
                **head,
                "status": "failed",
                "failure": failure.to_plain(),
            }
        )
