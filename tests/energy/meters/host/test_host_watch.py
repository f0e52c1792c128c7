"""What the host does beside the measurement: on files of a made-up machine, and on this one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from energy.meters.host.made_up_host import CHILD, GRANDCHILD, ME, Host, watched
from energy.simulated_gpus import Run

from llenergymeasure.config.settings.protocol import FOREIGN_LOAD
from llenergymeasure.energy.clock import CLOCK
from llenergymeasure.energy.ledger import Finished, Span
from llenergymeasure.energy.meters.host.readings import read_own_s
from llenergymeasure.energy.meters.host.watcher import HostWatcher

BUSY_LOOP = "import time\nend = time.time() + 20\nwhile time.time() < end: pass"


def test_our_own_processes_are_not_foreign(host: Host) -> None:
    done = watched(host, 10.0, me=900, child=800, grandchild=700, manager=100, workflow=50)
    assert done.findings == []
    assert done.facts["host"]["foreign_cpu"]["cores"] == pytest.approx(0.0, abs=1e-6)
    assert done.facts["host"]["foreign_cpu"]["own_cores"] == pytest.approx(2.55)


def test_what_the_workflow_system_started_beside_us_is_foreign(host: Host) -> None:
    (finding,) = watched(host, 10.0, me=1000, sibling=400).findings
    assert (finding.code, finding.severity) == ("foreign-cpu-load", "suspect")
    assert "0.40 of 4 cores" in finding.message


def test_a_little_foreign_load_is_a_fact_only(host: Host) -> None:
    done = watched(host, 10.0, me=1000, sibling=200)
    assert done.findings == []
    assert done.facts["host"]["foreign_cpu"]["cores"] == pytest.approx(0.2)


def test_a_child_that_ends_in_the_window_is_still_ours(host: Host) -> None:
    watcher = HostWatcher(host, FOREIGN_LOAD)  # type: ignore[arg-type]
    watcher.begin("generate")
    host.spend(GRANDCHILD, 900)
    host.end(GRANDCHILD, parent=CHILD)
    host.now += 10.0
    watcher.end()
    done = watcher.finish(Span("generate", 100.0, 110.0), [])
    assert done.facts["host"]["foreign_cpu"]["own_cores"] == pytest.approx(0.9)
    assert done.findings == []


def test_what_the_ticks_of_a_short_window_cannot_show_is_not_a_finding(host: Host) -> None:
    """0.3 s are 30 ticks a core: a third of a core is within their noise, two cores are not."""
    assert watched(host, 0.3, me=40, sibling=9).findings == []
    assert watched(host, 0.3, me=40, sibling=60).findings != []


def test_a_window_shorter_than_that_gets_a_reason(host: Host) -> None:
    done = watched(host, 0.1, sibling=40)
    assert done.findings == []
    assert done.facts["host"]["foreign_cpu"]["cores"] is None
    assert "too short" in done.facts["host"]["foreign_cpu"]["reason"]


def test_a_governor_that_changes_is_found(host: Host) -> None:
    watcher = HostWatcher(host, FOREIGN_LOAD)  # type: ignore[arg-type]
    watcher.begin("generate")
    (host.cpufreq / "policy2" / "scaling_governor").write_text("powersave\n")
    host.now += 1.0
    watcher.end()
    done = watcher.finish(Span("generate", 100.0, 101.0), [])
    (finding,) = done.findings
    assert (finding.code, finding.severity) == ("governor-changed", "suspect")
    assert "policy2 from performance to powersave" in finding.message
    assert done.facts["host"]["governors"] == ["performance", "powersave"]


def test_clocks_load_and_swapping_are_facts(host: Host) -> None:
    facts = watched(host, 1.0).facts["host"]
    assert facts["clocks_mhz"] == {"start": [2400.0] * 4, "end": [2400.0] * 4}
    assert facts["swapped_in_pages"] == 0
    assert facts["load_average_1min"] >= 0
    assert facts["governors"] == ["performance"]


def test_a_host_that_reports_nothing_gives_reasons_and_no_finding(host: Host, tmp_path: Path) -> None:
    for name in ("stat", "vmstat"):
        (tmp_path / "proc" / name).unlink()
    done = watched_without_processes(host)
    assert done.findings == []
    assert "FileNotFoundError" in done.facts["host"]["foreign_cpu"]["reason"]
    assert "FileNotFoundError" in done.facts["host"]["swapped_in_pages"]


def test_a_kernel_that_lists_no_children_gives_a_reason(host: Host) -> None:
    """Our own children would be taken for others."""
    (host.proc / str(ME) / "task" / str(ME) / "children").unlink()
    done = watched_without_processes(host)
    assert done.findings == []
    assert "CONFIG_PROC_CHILDREN" in done.facts["host"]["foreign_cpu"]["reason"]


def watched_without_processes(host: Host) -> Finished:
    watcher = HostWatcher(host, FOREIGN_LOAD)  # type: ignore[arg-type]
    watcher.begin("generate")
    host.now += 1.0
    watcher.end()
    return watcher.finish(Span("generate", host.now - 1.0, host.now), [])


def test_a_busy_program_on_this_machine_is_found(machine: Run) -> None:
    """It is a child of the scenario's parent, not of the scenario."""
    with subprocess.Popen([sys.executable, "-c", BUSY_LOOP]) as other:
        try:
            answer = machine({"meters": [], "windows": [{"seconds": 2.0}]})
        finally:
            other.kill()
    (window,) = answer["windows"]
    (finding,) = window["foreign"]
    assert "cores busy, this measurement" in finding["message"]
    assert window["facts"]["host"]["foreign_cpu"]["cores"] > 0.3


def test_the_time_of_a_child_on_this_machine_is_ours() -> None:
    before_s = read_own_s(os.getpid())
    with subprocess.Popen([sys.executable, "-c", BUSY_LOOP]) as mine:
        time.sleep(1.0)
        running_s = read_own_s(os.getpid()) - before_s
        mine.kill()
    ended_s = read_own_s(os.getpid()) - before_s
    # Others may keep the processors busy: a quarter of one is left for the child at least.
    assert running_s > 0.25
    assert ended_s >= running_s - 0.011


def test_an_edge_costs_next_to_nothing() -> None:
    watcher = HostWatcher(CLOCK, FOREIGN_LOAD)
    costs_s = []
    for _ in range(50):
        cpu_s = time.thread_time()
        watcher.begin("generate")
        costs_s.append(time.thread_time() - cpu_s)
    # The quickest: other programs make the same work take more processor time.
    assert min(costs_s) < 0.002
