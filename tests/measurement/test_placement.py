"""Each worker has devices and cores of its own; the devices of one that is killed are free again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from energy.simulated_gpus import build_driver, uuid
from harness import ROOT

from llenergymeasure.measurement.placement import NoDevice, Placement, require_devices, share_of

CLAIM = """
import json, os, sys, time
from llenergymeasure.measurement.placement import NoDevice, claim
with claim(int(sys.argv[1]), int(sys.argv[2])) as placement:
    seen = {"visible": os.environ.get("CUDA_VISIBLE_DEVICES"), "cores": sorted(os.sched_getaffinity(0))}
    print(json.dumps({**placement.to_dict(), "warning": placement.warning(), "seen": seen}), flush=True)
    sys.stdin.read()
print(json.dumps({"after": len(os.sched_getaffinity(0))}))
"""


class Machine:
    """A machine with simulated boards, and processes that claim some of them."""

    def __init__(self, driver: Path, folder: Path) -> None:
        self._driver, self._folder = driver, folder

    def claiming(
        self, held: int, used: int, *, workers: int, boards: int = 2, cores: str = ""
    ) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "scripts"),
            "LD_LIBRARY_PATH": str(self._driver),
            "TMPDIR": str(self._folder),
            "LLENERGYMEASURE_WORKERS": str(workers),
            **({"SIM_NVML_POWER_W": ",".join(["200"] * boards)} if boards else {}),
            **({"SIM_NVML_CORES": cores} if cores else {}),
        }
        return subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(held), str(used)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def claimed(self, *arguments: int, **settings: Any) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
        with self.claiming(*arguments, **settings) as process:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
            process.kill()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build the simulated NVML library with")
    for name in ("driver", "locks"):
        (tmp_path / name).mkdir()
    build_driver(tmp_path / "driver")
    return Machine(tmp_path / "driver", tmp_path / "locks")


def test_cores_near_a_device_are_divided_among_the_devices_they_are_near_to() -> None:
    left, right = frozenset(range(4)), frozenset(range(4, 7))
    near = {"a": left, "b": right, "c": left, "d": right}
    assert [share_of(name, near) for name in "abcd"] == [[0, 1], [4], [2, 3], [5, 6]]
    # Fewer cores than devices: each has one all the same.
    few = dict.fromkeys("abc", frozenset({8, 9}))
    assert [len(share_of(name, few)) for name in "abc"] == [1, 1, 1]


def test_more_workers_than_devices_is_one_line() -> None:
    require_devices(2, dict.fromkeys("ab", frozenset({0})))
    with pytest.raises(NoDevice, match=r"gpu=3 asks for 3 workers.* offers 2; use --resources gpu=2$") as refused:
        require_devices(3, dict.fromkeys("ab", frozenset({0})))
    assert "\n" not in str(refused.value)


def test_two_workers_have_different_devices_and_cores_and_a_killed_one_gives_them_back(machine: Machine) -> None:
    cores = sorted(os.sched_getaffinity(0))
    masks = f"{hex(1 << cores[0])},{hex(1 << cores[-1])}"
    mine = {"workers": 2, "cores": masks}
    with machine.claimed(1, 1, **mine) as (first, one), machine.claimed(1, 1, **mine) as (_, two):
        assert {one["devices"][0], two["devices"][0]} == {uuid(0), uuid(1)}
        for placed, core in ((one, cores[0]), (two, cores[-1])):
            assert placed["seen"] == {"visible": placed["devices"][0], "cores": [core]}
            assert placed["warning"]["code"] == "neighbours-on-node" and "1 other GPU" in placed["warning"]["message"]
        with machine.claiming(1, 1, workers=2) as third:
            assert third.stdout is not None and third.stderr is not None
            assert third.stderr.readline() == "waiting for 1 GPU(s) that other jobs hold\n"
            first.kill()
            assert json.loads(third.stdout.readline())["devices"] == one["devices"]
            third.kill()


def test_who_must_be_alone_holds_all_devices_and_uses_what_it_needs(machine: Machine) -> None:
    with machine.claimed(2, 1, workers=2) as (holder, alone):
        assert alone["devices"] == [uuid(0)] and alone["seen"]["visible"] == uuid(0)
        assert alone["warning"] is None
        with machine.claiming(1, 1, workers=2) as other:
            assert other.stdout is not None and other.stderr is not None
            assert other.stderr.readline().startswith("waiting")
            time.sleep(0.6)
            assert other.poll() is None
            holder.communicate("")
            assert json.loads(other.stdout.readline())["devices"] == [uuid(0)]
            other.kill()


def test_one_worker_uses_the_machine_as_it_is_but_not_while_another_study_does(machine: Machine) -> None:
    with machine.claimed(1, 1, workers=1) as (holder, placed):
        assert (placed["devices"], placed["seen"]["visible"], placed["warning"]) == ([], None, None)
        assert placed["seen"]["cores"] == sorted(os.sched_getaffinity(0))
        with machine.claiming(1, 1, workers=1) as other:
            assert other.stdout is not None and other.stderr is not None
            assert other.stderr.readline() == "waiting for 2 GPU(s) that other jobs hold\n"
            holder.communicate("")
            assert other.stdout.readline()
            other.kill()
    # Without a GPU there is nothing to hold: studies on processors are not kept apart.
    with machine.claimed(1, 1, workers=1, boards=0) as _, machine.claimed(1, 1, workers=1, boards=0) as (_, second):
        assert second["devices"] == []


def test_a_machine_that_is_not_divided_has_no_neighbours() -> None:
    assert Placement(workers=1).warning() is None
