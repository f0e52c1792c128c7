"""When other programs on the host make a window doubtful: by their share of its energy or its time."""

from __future__ import annotations

import re
import shutil

import pytest
from energy.meters.host.made_up_host import CHILD, GRANDCHILD, ME, Host, Metered, watched

from llenergymeasure.config.settings.protocol import FOREIGN_LOAD
from llenergymeasure.energy.ledger import Span
from llenergymeasure.energy.meters.host.watcher import HostWatcher

GPU, RAPL = ("gpu", "measured:nvml-total-energy"), ("cpu", "measured:rapl")
GUESS = ("cpu", "estimated:codecarbon")


@pytest.mark.parametrize(
    ("of", "share"),
    [
        ((), 1 / 6),  # no meter, no GPU: the host does the work
        ((RAPL,), 1 / 6),
        ((GUESS,), 1 / 6),
        ((GPU, RAPL), 1 / 12),
        ((GPU, (*RAPL, 300.0)), 1 / 8),
        ((GPU,), 0.0),
        ((GPU, GUESS), 0.0),  # the estimate is in no sum with the measurement
        ((("gpu", "none"), RAPL), 0.0),
    ],
)
def test_load_beside_a_gpu_counts_as_far_as_it_is_in_the_energy(
    host: Host, of: tuple[Metered, ...], share: float
) -> None:
    """One of four cores is ours and one others': of the host's energy a sixth is theirs, of a GPU's board nothing."""
    done = watched(host, 10.0, of=of, me=1000, sibling=1000)
    assert done.facts["host"]["foreign_cpu"]["energy_share"] == pytest.approx(share, rel=0.02)
    assert done.facts["host"]["foreign_cpu"]["cores"] == pytest.approx(1.0, abs=0.01)
    assert [finding.code for finding in done.findings] == ["foreign-cpu-load"] * (share > 0)


SERVER = pytest.mark.parametrize("host", [128], indirect=True, ids=["128-cores"])


@SERVER
@pytest.mark.parametrize(
    ("of", "own_cores"), [((GPU,), 1), ((GPU, RAPL), 1), (((*GPU, 400.0), (*RAPL, 150.0)), 1), ((RAPL,), 64)]
)
def test_two_percent_of_a_large_server_is_no_doubt(host: Host, of: tuple[Metered, ...], own_cores: int) -> None:
    """As on any shared server: 2.56 of 128 cores, which others find free."""
    done = watched(host, 10.0, of=of, me=own_cores * 1000, sibling=2560, waited_s=0.02)
    assert done.facts["host"]["foreign_cpu"]["cores"] == pytest.approx(2.56, rel=0.02)
    assert done.findings == []


@SERVER
def test_a_large_server_that_is_busy_takes_energy(host: Host) -> None:
    assert watched(host, 10.0, of=(GPU,), me=1000, sibling=40_000).findings == []
    (finding,) = watched(host, 10.0, of=(RAPL,), me=1000, sibling=40_000).findings
    assert (finding.code, finding.severity) == ("foreign-cpu-load", "suspect")
    assert finding.message == (
        "other programs kept 40.00 of 128 cores busy, this measurement 1.00: about 24% of the window's energy is "
        "theirs (measurement.foreign_load: 0.05)"
    )


@SERVER
@pytest.mark.parametrize(("waited_s", "findings"), [(0.4, 0), (2.0, 1)])
def test_a_large_server_that_is_full_takes_time(host: Host, waited_s: float, findings: int) -> None:
    """Cores are free on the average, and yet the one thread that drives the GPU waited: a fifth of the window."""
    done = watched(host, 10.0, of=(GPU,), me=1000, sibling=110_000, waited_s=waited_s)
    assert len(done.findings) == findings
    if findings:
        assert re.fullmatch(
            r"threads of this measurement waited 17% of their time for a core, while other programs kept 109\.98 of "
            r"the 128 cores busy that it may use \(measurement\.foreign_load: 0\.05\)",
            done.findings[0].message,
        )


def test_the_studys_own_limit_decides(host: Host) -> None:
    load = {"me": 1000, "sibling": 1000}
    assert watched(host, 10.0, limit=0.2, **load).findings == []
    (finding,) = watched(host, 10.0, limit=0.1, **load).findings
    assert finding.message.endswith("(measurement.foreign_load: 0.1)")


def test_our_own_threads_may_wait_for_each_other(host: Host) -> None:
    """More threads than cores is what the study asked for."""
    assert watched(host, 10.0, of=(GPU,), me=4000, waited_s=9.0).findings == []


def test_threads_that_begin_or_end_in_the_window(host: Host) -> None:
    """What a thread waited before the window is not counted, nor what it takes along when it ends."""
    watcher = HostWatcher(host, FOREIGN_LOAD)  # type: ignore[arg-type]
    watcher.begin("generate")
    shutil.rmtree(host.proc / str(GRANDCHILD))
    host.process(CHILD, parent=ME, children=[900_009])
    host.process(900_009, parent=CHILD)
    host.wait(900_009, 0.5)
    host.now += 10.0
    watcher.end()
    facts = watcher.finish(Span("generate", 100.0, 110.0), []).facts["host"]["foreign_cpu"]
    assert facts["waiting_cores"] == pytest.approx(0.05)


def test_what_a_hypervisor_takes_is_found(host: Host) -> None:
    assert watched(host, 10.0, of=(GPU,), me=1000, stolen=40).findings == []
    (finding,) = watched(host, 10.0, of=(GPU,), me=1000, stolen=200).findings
    assert finding.message == "a hypervisor took 17% of the processor time (measurement.foreign_load: 0.05)"


def test_where_the_kernel_does_not_count_waiting_load_that_leaves_a_gpu_no_core_is_found(host: Host) -> None:
    (host.proc / str(ME) / "task" / str(ME) / "schedstat").unlink()
    (finding,) = watched(host, 10.0, of=(GPU,), me=1000, sibling=2200).findings
    assert (finding.code, finding.severity) == ("foreign-cpu-load", "suspect")
    assert "other programs kept 2.20 of the 4 cores busy that it may use" in finding.message
    done = watched(host, 10.0, of=(GPU,), me=1000, sibling=1800)
    assert done.findings == []
    assert done.facts["host"]["foreign_cpu"]["waiting_cores"] is None


def test_load_on_cores_that_are_not_ours_leaves_a_gpu_alone(host: Host) -> None:
    """A worker is pinned to the cores near its board; its neighbours have theirs."""
    host.usable = frozenset({0})
    done = watched(host, 10.0, of=(GPU,), me=900, sibling=2700)
    # A quarter of all work is on our core: 0.9, and it is ours.
    assert done.facts["host"]["foreign_cpu"]["foreign_on_usable_cores"] == pytest.approx(0.0, abs=0.02)
    assert done.findings == []
    assert done.facts["host"]["foreign_cpu"]["cores"] == pytest.approx(2.7, abs=0.02)
