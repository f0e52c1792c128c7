"""RAPL over a powercap tree of real files whose true energy is known."""

from __future__ import annotations

import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from energy.fake_powercap import SERVER, FakePowercap

from llenergymeasure.energy import LedgerEntry, MeterSet, MeterUnavailable, Window, primary_energy
from llenergymeasure.energy.clock import CLOCK
from llenergymeasure.energy.meter import MeterContext
from llenergymeasure.energy.meters.rapl import meter as rapl_meter
from llenergymeasure.energy.meters.rapl.meter import RaplMeter, open_rapl
from llenergymeasure.energy.meters.rapl.powercap import Zone
from llenergymeasure.energy.warning_log import WarningLog

PACKAGE = {"intel-rapl:0": ("package-0", 100.0)}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "powercap"
    monkeypatch.setattr(rapl_meter, "POWERCAP", root)
    return root


class Opened:
    """An open meter behind windows."""

    def __init__(self, interval_s: float, covered: frozenset[str] = frozenset()) -> None:
        log = WarningLog()
        self.meter: RaplMeter = open_rapl(MeterContext({}, interval_s, CLOCK, covered, log))
        self.set = MeterSet([self.meter], log, refused=[], no_meter="none")

    def window(self, seconds: float, halfway: Callable[[], object] = lambda: None) -> Window:
        with self.set.window("generate", lambda: None) as window:
            time.sleep(seconds / 2)
            halfway()
            time.sleep(seconds / 2)
        return window


@contextmanager
def opened(interval_s: float = 0.02, **settings: Any) -> Iterator[Opened]:
    open_meter = Opened(interval_s, **settings)
    try:
        yield open_meter
    finally:
        open_meter.set.close()


def by_domain(window: Window) -> dict[str, LedgerEntry]:
    return {entry.domain: entry for entry in window.entries}


def test_the_energy_is_right_within_what_is_stated_without_the_gain(root: Path) -> None:
    with FakePowercap(root, SERVER), opened() as machine:
        window = machine.window(0.6)
    assert {(entry.device, entry.domain) for entry in window.entries} == {("package-0", "cpu"), ("package-0", "dram")}
    for domain, watts, bound in (("cpu", 80.0, 0.05), ("dram", 10.0, 0.30)):
        entry = by_domain(window)[domain]
        true_j = watts * window.duration_s
        assert entry.source == "measured:rapl"
        # The files are written by a thread that may come late; the counter's step is milliseconds, the window 600.
        assert entry.energy_j == pytest.approx(true_j, rel=0.03)
        (gain,) = [component for component in entry.components if component.kind == "gain"]
        assert gain.standard_j == pytest.approx(bound / math.sqrt(3) * entry.energy_j)
        assert [component.kind for component in entry.components] == ["edge", "edge", "gain"]
        assert sum(component.standard_j for component in entry.components[:2]) < 0.02 * entry.energy_j
        assert "not the wall" in entry.uncertainty_basis
        assert "every process on the machine" in entry.uncertainty_basis
        assert ("Khan" if domain == "cpu" else "Desrochers") in entry.uncertainty_basis


def test_cores_are_a_part_of_the_package_and_not_counted_again(root: Path) -> None:
    with FakePowercap(root, SERVER), opened() as machine:
        window = machine.window(0.3)
    assert primary_energy(window.entries, "generate").energy_j == pytest.approx(90 * window.duration_s, rel=0.05)


def test_the_platform_is_a_fact_and_in_no_sum(root: Path) -> None:
    with FakePowercap(root, {**SERVER, "intel-rapl:1": ("psys", 200.0)}), opened() as machine:
        window = machine.window(0.3)
        described = machine.set.describe()["devices"]
    assert len(window.entries) == 2
    (fact,) = window.facts["rapl"]["psys"]
    assert fact["energy_j"] == pytest.approx(200 * window.duration_s, rel=0.05)
    assert {device["domain"]: device["metered"] for device in described} == {"cpu": True, "dram": True, "psys": False}


def test_every_socket_has_its_own_entries(root: Path) -> None:
    zones = {**SERVER, "intel-rapl:1": ("package-1", 40.0), "intel-rapl:1:0": ("dram", 5.0)}
    with FakePowercap(root, zones), opened() as machine:
        window = machine.window(1.0)
    powers = {(entry.device, entry.domain): entry.energy_j / window.duration_s for entry in window.entries}
    assert powers == pytest.approx(
        {("package-0", "cpu"): 80, ("package-0", "dram"): 10, ("package-1", "cpu"): 40, ("package-1", "dram"): 5},
        rel=0.05,
    )


def test_the_pieces_of_a_window_hold_its_energy_with_the_memory_in_it(root: Path) -> None:
    drawn = [1.0]
    with FakePowercap(root, SERVER, power=lambda: drawn[0]), opened() as machine:
        window = machine.window(1.0, lambda: drawn.__setitem__(0, 3.0))
        rows = machine.set.trace()
    pieces = window.intervals
    assert len(pieces) > 20
    assert {piece.device for piece in pieces} == {"package-0"}
    assert all(earlier.end_s == later.start_s for earlier, later in itertools.pairwise(pieces))
    total_j = primary_energy(window.entries, "generate").energy_j
    assert math.fsum(piece.energy_j for piece in pieces) == pytest.approx(total_j, rel=0.01)
    middle_s = (window.start_monotonic_s + window.end_monotonic_s) / 2
    for low, high, watts in ((window.start_monotonic_s, middle_s, 90), (middle_s, window.end_monotonic_s, 270)):
        inside = [piece for piece in pieces if low <= piece.start_s and piece.end_s <= high]
        seconds = sum(piece.end_s - piece.start_s for piece in inside)
        assert sum(piece.energy_j for piece in inside) / seconds == pytest.approx(watts, rel=0.1)
    assert {row["device"] for row in rows} == {"package-0 cpu", "package-0 dram"}
    assert machine.set.trace() == []


@pytest.mark.parametrize("wraps", [1, 2])
def test_a_counter_that_wraps_around_counts_on(root: Path, wraps: int) -> None:
    range_uj = 800_000_000
    zone = {"intel-rapl:0": ("package-0", 1500.0)}
    with FakePowercap(root, zone, range_uj=range_uj, start_uj=range_uj - 350_000_000), opened() as machine:
        window = machine.window(0.5 * wraps)
    (entry,) = window.entries
    assert entry.energy_j == pytest.approx(1500 * window.duration_s, rel=0.04), entry.reason


def test_readings_come_often_enough_for_the_range(root: Path) -> None:
    with FakePowercap(root, PACKAGE, range_uj=400_000_000), opened(interval_s=10.0) as machine:
        assert machine.meter.describe()["reading_interval_s"] == pytest.approx((400 / 2000 - 0.02) / 2)
        window = machine.window(0.4)
    assert len(window.intervals) >= 3


def test_a_wrap_that_may_have_been_missed_is_not_guessed(root: Path) -> None:
    with FakePowercap(root, PACKAGE, range_uj=800_000_000), opened() as machine:
        machine.meter._reader._interval_s = 10.0  # a thread that gets no processor
        (entry,) = machine.window(0.6).entries
    assert entry.energy_j is None
    assert "a wrap may be missing" in entry.reason


def test_a_counter_that_runs_backwards_gives_no_figure(root: Path) -> None:
    with FakePowercap(root, PACKAGE, start_uj=10**9) as tree, opened() as machine:
        window = machine.window(0.3, lambda: tree.add("intel-rapl:0", -500.0))
    (entry,) = window.entries
    assert entry.energy_j is None
    assert "ran backwards" in entry.reason
    assert window.intervals == []


def test_a_jump_forward_gives_no_figure(root: Path) -> None:
    with FakePowercap(root, PACKAGE) as tree, opened() as machine:
        (entry,) = machine.window(0.3, lambda: tree.add("intel-rapl:0", 5000.0)).entries
    assert entry.energy_j is None
    assert "jumped" in entry.reason


def test_a_counter_that_cannot_be_read_any_more_gives_no_figure_and_the_others_do(root: Path) -> None:
    with FakePowercap(root, SERVER) as tree, opened() as machine:

        def take_away() -> None:
            (tree.root / "intel-rapl:0:1").rename(tree.root.parent / "gone")
            tree.counter("intel-rapl:0:1").mkdir(parents=True, exist_ok=True)

        window = machine.window(0.3, take_away)
        warnings = machine.set.warnings
    entries = by_domain(window)
    assert entries["dram"].energy_j is None
    assert "failed at the end of the window" in entries["dram"].reason
    assert entries["cpu"].energy_j is not None
    # The package without its memory would pass for both.
    assert window.intervals == []
    assert "rapl-read-failed" in {warning["code"] for warning in warnings}


def test_a_reader_that_dies_is_reported_and_the_edges_still_count(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakePowercap(root, PACKAGE), opened() as machine:

        def die(*_: object) -> None:
            raise RuntimeError("no more threads")

        monkeypatch.setattr(machine.meter._reader._thread, "_work", die)
        window = machine.window(0.3)
        monkeypatch.undo()
        again = machine.window(0.3)
        warnings = machine.set.warnings
    assert window.entries[0].energy_j == pytest.approx(100 * window.duration_s, rel=0.05)
    assert len(window.intervals) == 1
    assert [warning["code"] for warning in warnings] == ["rapl-reader-died"]
    assert "no more threads" in warnings[0]["message"]
    assert [(finding.code, finding.severity) for finding in window.findings if finding.code != "foreign-cpu-load"] == [
        ("trace-incomplete", "suspect")
    ]
    assert again.findings == []
    assert len(again.intervals) > 5
    assert machine.meter._reader.death is None


def test_a_look_that_overlaps_the_last_one_does_not_turn_the_counter_back(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the last reading is taken, and then the thread has the processor for a while."""
    real_read = Zone.read_uj
    waits_s: list[float] = []  # what the main thread waits between its reading and having it

    def read(zone: Zone) -> int:
        value = real_read(zone)
        if waits_s and threading.current_thread() is threading.main_thread():
            time.sleep(waits_s.pop())
        return value

    monkeypatch.setattr(Zone, "read_uj", read)
    with FakePowercap(root, PACKAGE), opened() as machine:
        window = machine.window(0.3, lambda: waits_s.append(0.2))
    (entry,) = window.entries
    assert entry.energy_j is not None, entry.reason
    assert waits_s == []


def test_a_short_window_is_unknown_or_wide_and_never_zero(root: Path) -> None:
    with FakePowercap(root, PACKAGE), opened() as machine:
        for _ in range(20):
            with machine.set.window("generate", lambda: None) as window:
                pass
            (entry,) = window.entries
            assert entry.energy_j is None or entry.energy_j > 0


def test_without_rights_the_reason_says_what_gives_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def guarded(path: Any, *arguments: Any, **keywords: Any) -> int:
        if str(path).endswith("energy_uj"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **keywords)

    FakePowercap(root, SERVER)
    monkeypatch.setattr(os, "open", guarded)
    with pytest.raises(MeterUnavailable) as refused:
        Opened(0.02)
    for hint in ("root only", "CVE-2020-8694", "sudo chmod a+r", "udev rule", "intel-rapl:0/energy_uj"):
        assert hint in refused.value.reason
    assert "\n" not in refused.value.reason


def test_memory_that_cannot_be_read_leaves_the_package(root: Path) -> None:
    with FakePowercap(root, SERVER) as tree:
        (root / "intel-rapl:0:1").rename(root.parent / "gone")
        tree.counter("intel-rapl:0:1").mkdir(parents=True)
        (root / "intel-rapl:0:1" / "name").write_text("dram\n")
        (root / "intel-rapl:0:1" / "max_energy_range_uj").write_text("1000\n")
        with opened() as machine:
            assert machine.meter.domains == {"cpu"}
            (refused,) = machine.set.describe()["refused"]
    assert refused["device"] == "package-0 dram"
    assert "IsADirectoryError" in refused["reason"]


def test_a_machine_without_rapl_says_so(root: Path) -> None:
    assert not root.exists()
    with pytest.raises(MeterUnavailable, match="no package in") as refused:
        Opened(0.02)
    assert "modprobe" in refused.value.reason


def test_links_that_lead_nowhere_are_a_container_that_hides_them(root: Path) -> None:
    root.mkdir()
    (root / "intel-rapl:0").symlink_to(root / "nowhere")
    with pytest.raises(MeterUnavailable, match="container runtimes hide"):
        Opened(0.02)


def test_counters_that_stand_still_are_refused(root: Path) -> None:
    FakePowercap(root, SERVER)
    with pytest.raises(MeterUnavailable, match="package-0 cpu: its counter stood still"):
        Opened(0.02)


def test_a_domain_that_another_meter_has_is_left_to_it(root: Path) -> None:
    with FakePowercap(root, SERVER), opened(covered=frozenset({"cpu"})) as machine:
        assert machine.meter.domains == {"dram"}
