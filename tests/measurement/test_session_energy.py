"""A whole session over counters whose energy is known: from the load to the record's figures.

The meter and everything above it are real; the powercap tree is made up. It draws 80 W and 8 W while the session works,
30 W and 3 W while it measures its baselines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from energy.fake_powercap import FakePowercap
from measurement.experiments import config

from llenergymeasure.energy import LedgerEntry, primary_energy
from llenergymeasure.energy.meters.rapl import meter as rapl_meter
from llenergymeasure.engine.replicas import Alone
from llenergymeasure.measurement.session import Session
from llenergymeasure.measurement.windows import Windows

ZONES = {"intel-rapl:0": ("package-0", 80.0), "intel-rapl:0:0": ("dram", 8.0)}
WORKING_W, IDLE_W = 88.0, 33.0
RESOLUTION = 0.002


@pytest.fixture(scope="module")
def measured(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What load, warm-up and three measurements answered.

    The memory's counter jumps in the second one's windows, and in the idle window after the third.
    """
    root = tmp_path_factory.mktemp("powercap") / "powercap"
    share = [1.0]
    real_idle, real_open = Windows.idle, Windows.open
    jumps: list[str] = []  # phases in which it does

    def idle(windows: Windows, *arguments: Any) -> None:
        share[0] = IDLE_W / WORKING_W
        real_idle(windows, *arguments)
        share[0] = 1.0

    @contextmanager
    def opened(windows: Windows, phase: str, synchronize: Any, around: Any = None) -> Iterator[Any]:
        with real_open(windows, phase, synchronize, around) as window:
            if phase in jumps:
                jumps.remove(phase)
                tree.add("intel-rapl:0:0", 5000.0)
            yield window

    intent = config(
        max_output_tokens=12,
        energy={"meters": ["rapl"], "power_interval_s": 0.01},
        baseline={"duration_s": 0.5},
        warmup={"passes": 2},
    )
    with pytest.MonkeyPatch.context() as patched, FakePowercap(root, ZONES, power=lambda: share[0]) as tree:
        patched.setattr(rapl_meter, "POWERCAP", root)
        patched.setattr(Windows, "idle", idle)
        patched.setattr(Windows, "open", opened)
        session = Session(Alone())
        try:
            load = session.perform(
                {"do": "load", "config": intent, "snapshots": {"model": str(snapshot)}, "compile_cache": None}
            )
            calibration = session.perform(
                {"do": "warmup", "config": intent, "min_window_s": 0.05, "energy_resolution": RESOLUTION}
            )
            order = {
                "do": "measure",
                "config": intent,
                "calibration": {**calibration, "status": "ok"},
                "reference": {"experiment_id": "itself", "outputs": calibration["outputs"]},
            }
            answer = session.perform(order)
            jumps += ["generate", "prefill"]
            broken = session.perform(order)
            jumps.append("idle_resident")
            after = session.perform(order)
        finally:
            session.close()
    yield {**answer, "load": load, "calibration": calibration, "broken": broken["record"], "after": after["record"]}


@pytest.fixture
def record(measured: dict[str, Any]) -> dict[str, Any]:
    measurement: dict[str, Any] = measured["record"]
    return measurement


def ledger(record: dict[str, Any]) -> list[LedgerEntry]:
    return [LedgerEntry.from_dict(entry) for entry in record["energy"]]


def test_every_phase_is_in_the_ledger_with_a_budget(measured: dict[str, Any], record: dict[str, Any]) -> None:
    assert [entry["phase"] for entry in measured["load"]["energy"]] == ["idle"] * 2 + ["load"] * 2 + [
        "idle_resident"
    ] * 2
    assert {entry.phase for entry in ledger(record)} == {"idle", "idle_resident", "warmup", "generate", "prefill"}
    for entry in ledger(record):
        assert entry.source == "measured:rapl"
        assert entry.energy_j is not None and entry.energy_j > 0, entry.reason
        assert {component.kind for component in entry.components} == {"edge", "gain"}
        assert entry.expanded_uncertainty_j is not None and entry.expanded_uncertainty_j > 0


def test_the_ledger_holds_what_was_drawn(record: dict[str, Any]) -> None:
    powers = {"idle": IDLE_W, "idle_resident": IDLE_W, "warmup": WORKING_W, "generate": WORKING_W, "prefill": WORKING_W}
    for phase, watts in powers.items():
        energy = primary_energy(ledger(record), phase)
        assert energy.energy_j is not None
        # The made-up counters are moved by a thread of this very process, which the model keeps waiting.
        assert energy.energy_j / energy.duration_s == pytest.approx(watts, rel=0.08), phase


def test_net_is_gross_less_the_idle_power(record: dict[str, Any]) -> None:
    metrics = record["metrics"]
    assert metrics["baseline_power_w"] == pytest.approx(IDLE_W, rel=0.08)
    assert metrics["average_power_w"] == pytest.approx(WORKING_W, rel=0.08)
    assert 0 < metrics["net_energy_per_request_j"] < metrics["energy_per_request_j"]
    share = metrics["net_energy_per_request_j"] / metrics["energy_per_request_j"]
    assert share == pytest.approx(1 - IDLE_W / WORKING_W, rel=0.08)
    assert metrics["baseline_share"] == pytest.approx(1 - share)


def test_the_window_is_as_long_as_the_meter_needs(measured: dict[str, Any], record: dict[str, Any]) -> None:
    calibration = measured["calibration"]
    # Counters that are updated every millisecond have to be read for some hundred to tell 0.2 %.
    assert calibration["resolution_window_s"] > 0.1
    window = primary_energy(ledger(record), "generate")
    assert calibration["measured_passes"] * calibration["pass_s"] >= calibration["resolution_window_s"]
    assert window.duration_s >= 0.3 * calibration["resolution_window_s"]
    assert record["calibration"]["resolution_window_s"] == calibration["resolution_window_s"]


def test_the_budget_of_a_figure_is_that_of_the_ledger(record: dict[str, Any]) -> None:
    full = primary_energy(ledger(record), "generate")
    requests = record["calibration"]["measured_passes"] * 3
    for metric, divisor in (("energy_per_request_j", requests), ("average_power_w", full.duration_s)):
        parts = record["budget"][metric]
        total = math.hypot(*(part["standard_uncertainty"] for part in parts))
        assert full.standard_uncertainty_j is not None
        assert total == pytest.approx(full.standard_uncertainty_j / divisor)
    names = {part["name"] for part in record["budget"]["net_energy_per_request_j"]}
    assert any(name.startswith("baseline: counter update") for name in names)
    assert any(name.startswith("baseline drift") for name in names)


def test_prefill_and_decode_both_ways_or_a_reason(record: dict[str, Any]) -> None:
    metrics, unknown = record["metrics"], record["unknown"]
    assert metrics["prefill_energy_j"] > 0
    assert metrics["prefill_energy_j"] + metrics["decode_energy_j"] == pytest.approx(metrics["energy_per_request_j"])
    for metric in ("prefill_energy_trace_j", "decode_energy_trace_j"):
        assert (metrics[metric] is None) == (metric in unknown)
    if metrics["prefill_energy_trace_j"] is not None:
        both = metrics["prefill_energy_trace_j"] + metrics["decode_energy_trace_j"]
        assert both == pytest.approx(metrics["energy_per_request_j"])
    else:
        assert "trace" in unknown["prefill_energy_trace_j"]


def test_the_verdict_follows_from_the_findings(record: dict[str, Any]) -> None:
    validity = record["validity"]
    assert validity["verdict"] in ("valid", "suspect")
    assert (validity["verdict"] == "valid") == (validity["reasons"] == [])
    host = record["conditions"]["generate"]["host"]
    assert {"foreign_cpu", "governors", "clocks_mhz", "load_average_1min", "swapped_in_pages"} == host.keys()


def test_how_power_settled_before_each_idle_window_is_in_the_record(record: dict[str, Any]) -> None:
    before, after = (facts["settling"] for facts in record["conditions"]["idle_resident"])
    for settling in (before, after):
        assert settling["settled"] is True and settling["waited_s"] > 2.0
        assert settling["powers_w"][-1] == pytest.approx(IDLE_W, rel=0.08)


def test_memory_of_the_driver_has_a_reason_where_there_is_none(record: dict[str, Any]) -> None:
    assert record["metrics"]["process_memory_bytes"] is None
    assert record["unknown"]["process_memory_bytes"] == "no GPU holds parameters of the model"
    assert record["memory"]["driver"]["reason"] == "no GPU holds parameters of the model"


def test_the_power_trace_of_every_window_is_kept(measured: dict[str, Any]) -> None:
    rows = measured["power"]
    assert {"warmup", "generate", "prefill", "settling", "idle_resident"} == {row["phase"] for row in rows}
    assert {row["device"] for row in rows} == {"package-0 cpu", "package-0 dram"}


def test_a_meter_that_fails_in_the_window_leaves_a_reason_and_no_number(measured: dict[str, Any]) -> None:
    broken = measured["broken"]
    assert broken["status"] == "ok"
    assert broken["validity"]["verdict"] == "suspect"
    reasons = [finding["message"] for finding in broken["validity"]["reasons"] if finding["code"] == "energy-missing"]
    assert [reason.split(": the counter jumped")[0] for reason in reasons] == [
        "package-0 dram in phase generate",
        "package-0 dram in phase prefill",
    ]
    for metric in ("energy_per_request_j", "energy_per_output_token_j", "net_energy_per_request_j", "average_power_w"):
        assert broken["metrics"][metric] is None
        assert "jumped" in broken["unknown"][metric]
    # What has nothing to do with joules is there, and the package's own energy is still in the ledger.
    assert broken["metrics"]["throughput_output_tokens_per_s"] > 0
    cpu = [entry for entry in ledger(broken) if entry.phase == "generate" and entry.domain == "cpu"]
    assert cpu[0].energy_j is not None and cpu[0].energy_j > 0


def test_the_next_measurement_is_whole_again(measured: dict[str, Any]) -> None:
    after = measured["after"]
    assert "energy-missing" not in {finding["code"] for finding in after["validity"]["reasons"]}
    assert after["metrics"]["average_power_w"] == pytest.approx(WORKING_W, rel=0.08)


def test_an_idle_window_that_failed_is_reported_and_the_other_one_counts(measured: dict[str, Any]) -> None:
    after = measured["after"]
    (reason,) = (finding for finding in after["validity"]["reasons"] if finding["code"] == "baseline-missing")
    assert reason["severity"] == "suspect" and "package-0 dram: the counter jumped" in reason["message"]
    assert after["metrics"]["baseline_power_w"] == pytest.approx(IDLE_W, rel=0.08)
    messages = [warning["message"] for warning in after["warnings"]]
    assert reason["message"] not in messages
    assert len(messages) == len(set(messages))
