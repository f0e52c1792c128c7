"""What the joules would be, and what would make runs suspect, from one idle second with the meters of a run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from llenergymeasure.config import EnergyConfig, ExperimentConfig
from llenergymeasure.energy import MeterSet, MeterUnavailable
from llenergymeasure.energy.clock import CLOCK
from llenergymeasure.energy.ledger import Finished, Span
from llenergymeasure.energy.meters.host import readings as host_readings
from llenergymeasure.energy.meters.host.watcher import HostWatcher
from llenergymeasure.energy.meters.rapl.powercap import why_unreadable
from llenergymeasure.energy.warning_log import WarningLog
from llenergymeasure.pipeline.doctor import energy
from llenergymeasure.pipeline.doctor.configured import Configured
from llenergymeasure.pipeline.doctor.energy import energy_rows
from llenergymeasure.pipeline.doctor.table import Row

COUNTER = Path("/sys/class/powercap/intel-rapl:0/energy_uj")
DENIED = {"meter": "rapl", "reason": why_unreadable(PermissionError(13, "Permission denied", str(COUNTER)))}
GPU, CPU, GUESS = ("gpu", "measured:nvml-total-energy"), ("cpu", "measured:rapl"), ("cpu", "estimated:codecarbon")
RAM_GUESS = ("dram", "estimated:codecarbon")


class Fixed:
    """A meter of 40 W for each of its accounts; `broken`: it gives no figure."""

    name, steady_s = "fixed", 0.0
    device_uuids: frozenset[str] = frozenset()

    def __init__(self, accounts: tuple[tuple[str, str], ...], *, broken: bool) -> None:
        self.accounts, self.broken = accounts, broken
        self.domains = frozenset(domain for domain, _ in accounts)

    def restrict(self, device_uuids: Collection[str]) -> None: ...
    def prepare(self, phase: str) -> None: ...
    def begin(self, phase: str) -> None: ...
    def end(self) -> None: ...
    def close(self) -> None: ...

    def finish(self, span: Span) -> Finished:
        if self.broken:
            return Finished(
                [span.unknown("package-0", *account, "its counter stood still") for account in self.accounts]
            )
        joules = 40.0 * span.duration_s
        return Finished([span.known(domain, domain, source, joules, []) for domain, source in self.accounts])

    def trace(self) -> list[dict[str, Any]]:
        return []

    def describe(self) -> dict[str, Any]:
        return {"meter": self.name, "devices": [], "refused": []}


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Row]]:
    """Rows by what they are about, on a machine with such meters."""
    monkeypatch.setattr(energy, "WINDOW_S", 0.25)

    def rows(*accounts: tuple[str, str], broken: bool = False, limit: float = 1.0) -> dict[str, Row]:
        def opened(_: EnergyConfig, *, foreign_load: float) -> MeterSet:
            return MeterSet(
                [Fixed(accounts, broken=broken)],
                WarningLog(),
                refused=[DENIED],
                no_meter="none",
                watchers=[HostWatcher(CLOCK, foreign_load)],
            )

        monkeypatch.setattr(energy, "open_meters", opened)
        return {row.what: row for row in energy_rows(Configured(foreign_load=limit))}

    return rows


def test_a_guess_is_a_warning_with_what_gives_the_right_to_measure(metered: Callable[..., dict[str, Row]]) -> None:
    row = metered(GUESS, RAM_GUESS)["energy of the host"]
    assert row.status == "warning"
    assert row.found == ("cpu 40 W, dram 40 W in this second, estimated:codecarbon: joules of this machine are a guess")
    assert f"{COUNTER} may be read by root only" in row.advice
    assert "`sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj`" in row.advice and "zeusd" in row.advice


def test_what_is_measured_is_no_warning_and_a_guess_beside_it_is_in_no_sum(
    metered: Callable[..., dict[str, Row]],
) -> None:
    rows = metered(GPU, GUESS)
    assert rows["energy of GPUs"] == Row("energy of GPUs", "gpu 40 W in this second, measured:nvml-total-energy", "ok")
    assert rows["energy of the host"].status == "ok" and "in no sum" in rows["energy of the host"].found
    assert metered(GPU, GPU, GPU)["energy of GPUs"].found.startswith("3 × gpu 40 W in this second")
    assert metered(CPU)["energy of the host"].found == "cpu 40 W in this second, measured:rapl"


def test_a_meter_without_a_figure_says_why(metered: Callable[..., dict[str, Row]]) -> None:
    row = metered(CPU, broken=True)["energy of the host"]
    assert row.status == "warning" and row.found == "measured:rapl: package-0: its counter stood still"


def test_a_meter_that_the_study_names_and_that_does_not_work_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(config: EnergyConfig, **_: Any) -> MeterSet:
        assert config.meters == ["rapl"]
        raise MeterUnavailable("rapl", "no package here")

    monkeypatch.setattr(energy, "open_meters", refused)
    config = ExperimentConfig.model_validate({"model": "random:llama", "energy": {"meters": ["rapl"]}})
    (row,) = energy_rows(Configured([config]))
    assert (row.status, row.found) == ("problem", "rapl: no package here")


def test_other_programs_are_judged_by_the_limit_of_the_study(
    metered: Callable[..., dict[str, Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_s = iter([0.0, 0.5, 0.0, 0.5])
    monkeypatch.setattr(
        host_readings,
        "read_busy",
        lambda: host_readings.Busy(busy := next(busy_s), 0.0, 4, busy, 4),
    )
    row = metered(CPU, limit=0.05)["cores"]
    assert row.status == "warning"
    assert row.found.startswith("4 of 4 cores usable; other programs keep ")
    assert "runs would be suspect: other programs kept" in row.advice
    assert "measurement.foreign_load: 0.05" in row.advice
    assert metered(CPU, limit=1.0)["cores"].status == "ok"


@pytest.mark.parametrize(
    ("governors", "status"), [({}, "ok"), ({"policy0": "performance"}, "ok"), ({"policy0": "powersave"}, "warning")]
)
def test_a_governor_that_follows_the_load_is_a_warning(
    governors: dict[str, str],
    status: str,
    metered: Callable[..., dict[str, Row]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_readings, "read_governors", lambda: governors)
    row = metered(CPU)["governor"]
    assert row.status == status
    assert ("`sudo cpupower frequency-set -g performance`" in row.advice) == (status == "warning")
