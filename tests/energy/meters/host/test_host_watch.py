"""What the host does beside the measurement: on files of a made-up machine, and on this one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from energy.simulated_gpus import Run

from llenergymeasure.energy.clock import CLOCK
from llenergymeasure.energy.ledger import Finished, Span
from llenergymeasure.energy.meters.host import readings as host_readings
from llenergymeasure.energy.meters.host.readings import read_own_s
from llenergymeasure.energy.meters.host.watcher import HostWatcher

BUSY_LOOP = "import time\nend = time.time() + 20\nwhile time.time() < end: pass"
ME, CHILD, GRANDCHILD, MANAGER, WORKFLOW, SIBLING = os.getpid(), 900_001, 900_002, 900_003, 900_004, 900_005


class Host:
    """A made-up machine of four cores: its files, a clock, and processes with a past."""

    def __init__(self, root: Path) -> None:
        self.proc, self.cpufreq = root / "proc", root / "cpufreq"
        self.now = 100.0
        self.ticks: dict[int, list[int]] = {}
        self.machine = 50_000
        self.usable = frozenset(range(4))
        self.write_machine()
        self.process(WORKFLOW, parent=0, children=[MANAGER, SIBLING])
        self.process(MANAGER, parent=WORKFLOW, children=[ME])
        self.process(ME, parent=MANAGER, children=[CHILD])
        self.process(CHILD, parent=ME, children=[GRANDCHILD])
        self.process(GRANDCHILD, parent=CHILD)
        self.process(SIBLING, parent=WORKFLOW)
        (self.proc / "vmstat").write_text("pswpin 7\npswpout 9\n")
        for number in range(4):
            folder = self.cpufreq / f"policy{number}"
            folder.mkdir(parents=True)
            (folder / "scaling_governor").write_text("performance\n")
            (folder / "scaling_cur_freq").write_text("2400000\n")

    def now_s(self) -> float:
        return self.now

    def process(self, pid: int, *, parent: int, children: list[int] | None = None, ended_children: int = 0) -> None:
        folder = self.proc / str(pid) / "task" / str(pid)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "children").write_text(" ".join(map(str, children or [])))
        self.ticks[pid] = [parent, 1000, ended_children]
        self.spend(pid, 0)

    def spend(self, pid: int, ticks: int) -> None:
        """A process works; the machine counts it."""
        parent, before, ended = self.ticks[pid]
        self.ticks[pid][1] = before + ticks
        words = [pid, "(a b) c)", "R", parent, *[0] * 9, before + ticks - 10, 10, ended, 0, *[0] * 20]
        (self.proc / str(pid) / "stat").write_text(" ".join(map(str, words)) + "\n")
        self.machine += ticks
        self.write_machine()

    def end(self, pid: int, parent: int) -> None:
        """A process ends and is waited for: its time goes to its parent's account."""
        self.ticks[parent][2] += self.ticks.pop(pid)[1]
        (self.proc / str(pid) / "stat").unlink()
        self.spend(parent, 0)

    def write_machine(self) -> None:
        self.proc.mkdir(parents=True, exist_ok=True)
        cores = "".join(f"cpu{number} {self.machine // 4} 0 0 0 0 0 0 0 0 0\n" for number in range(4))
        (self.proc / "stat").write_text(f"cpu {self.machine - 5} 3 2 9999 8 777 777 60 0 0\n{cores}intr 1 2\n")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made_up = Host(tmp_path)
    monkeypatch.setattr(host_readings, "PROC", made_up.proc)
    monkeypatch.setattr(host_readings, "CPUFREQ", made_up.cpufreq)
    monkeypatch.setattr(host_readings, "TICK_S", 0.01)
    monkeypatch.setattr(host_readings, "usable_cores", lambda: made_up.usable)
    return made_up


def watched(host: Host, seconds: float, *, of: tuple[tuple[str, str], ...] = (), **ticks_of: int) -> Finished:
    """A window of that length in which processes work for that many ticks; `of`: what meters, by domain and source."""
    pids = {"me": ME, "child": CHILD, "grandchild": GRANDCHILD, "manager": MANAGER, "workflow": WORKFLOW}
    watcher = HostWatcher(host)  # type: ignore[arg-type]
    watcher.begin("generate")
    for name, ticks in ticks_of.items():
        host.spend(pids.get(name, SIBLING), ticks)
    host.now += seconds
    watcher.end()
    span = Span("generate", host.now - seconds, host.now)
    entries = [
        span.unknown(domain, domain, source, "nothing meters it")
        if source == "none"
        else span.known(domain, domain, source, 100.0, [])
        for domain, source in of
    ]
    return watcher.finish(span, entries)


GPU, RAPL = ("gpu", "measured:nvml-total-energy"), ("cpu", "measured:rapl")
GUESS = ("cpu", "estimated:codecarbon")


@pytest.mark.parametrize(
    ("of", "in_the_energy"),
    [
        ((), True),  # no meter, no GPU: the host does the work
        ((RAPL,), True),
        ((GUESS,), True),
        ((GPU, RAPL), True),
        ((GPU,), False),
        ((GPU, GUESS), False),  # the estimate is in no sum with the measurement
        ((("gpu", "none"), RAPL), False),
    ],
)
def test_load_beside_a_gpu_counts_where_it_is_in_the_energy(
    host: Host, of: tuple[tuple[str, str], ...], in_the_energy: bool
) -> None:
    """Two of four cores: on the host's own account a disturbance, beside a GPU with a core to spare none."""
    done = watched(host, 10.0, of=of, me=1000, sibling=1000)
    assert done.facts["host"]["foreign_cpu"]["in_the_energy"] is in_the_energy
    assert done.facts["host"]["foreign_cpu"]["cores"] == pytest.approx(1.0, abs=0.01)
    assert [finding.code for finding in done.findings] == ["foreign-cpu-load"] * in_the_energy


def test_load_that_leaves_a_gpu_no_core_is_found(host: Host) -> None:
    (finding,) = watched(host, 10.0, of=(GPU,), me=1000, sibling=2200).findings
    assert (finding.code, finding.severity) == ("foreign-cpu-load", "suspect")
    assert "2.20 of the 4 cores busy that this measurement may use, itself 1.00" in finding.message
    assert watched(host, 10.0, of=(GPU,), me=1000, sibling=1800).findings == []


def test_load_on_cores_that_are_not_ours_leaves_a_gpu_alone(host: Host) -> None:
    """A worker is pinned to the cores near its board; its neighbours have theirs."""
    host.usable = frozenset({0})
    done = watched(host, 10.0, of=(GPU,), me=900, sibling=2700)
    # A quarter of all work is on our core: 0.9, and it is ours.
    assert done.facts["host"]["foreign_cpu"]["foreign_on_usable_cores"] == pytest.approx(0.0, abs=0.02)
    assert done.findings == []
    assert done.facts["host"]["foreign_cpu"]["cores"] == pytest.approx(2.7, abs=0.02)


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
    watcher = HostWatcher(host)  # type: ignore[arg-type]
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
    watcher = HostWatcher(host)  # type: ignore[arg-type]
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
    watcher = HostWatcher(host)  # type: ignore[arg-type]
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
    watcher = HostWatcher(CLOCK)
    costs_s = []
    for _ in range(50):
        cpu_s = time.thread_time()
        watcher.begin("generate")
        costs_s.append(time.thread_time() - cpu_s)
    # The quickest: other programs make the same work take more processor time.
    assert min(costs_s) < 0.002
