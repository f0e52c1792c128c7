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

from llenergymeasure.pipeline.placement import NoDevice, Placement, core_share, require_devices

CLAIM = """
import json, os, sys, time
from llenergymeasure.pipeline.board_draw import Draw
from llenergymeasure.pipeline.placement import NoDevice, claim
held, used, replicate = (json.loads(argument) for argument in sys.argv[1:])
with claim(held, used, Draw(0, "setup", replicate)) as placement:
    seen = {"visible": os.environ.get("CUDA_VISIBLE_DEVICES"), "cores": sorted(os.sched_getaffinity(0))}
    print(json.dumps({**placement.to_dict(), "warning": placement.warning(), "seen": seen}), flush=True)
    sys.stdin.read()
print(json.dumps({"after": [len(os.sched_getaffinity(0)), os.environ.get("CUDA_VISIBLE_DEVICES")]}))
"""
UUIDS = [uuid(board) for board in range(8)]


class Machine:
    """A machine with simulated boards, and processes that claim some of them."""

    def __init__(self, driver: Path, folder: Path) -> None:
        self._driver, self._folder = driver, folder

    def claiming(
        self,
        held: int,
        used: int | None,
        *,
        workers: int,
        boards: int = 2,
        cores: str = "",
        replicate: int = 0,
        **settings: str,
    ) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "scripts"),
            "LD_LIBRARY_PATH": str(self._driver),
            "TMPDIR": str(self._folder),
            "LLENERGYMEASURE_WORKERS": str(workers),
            **({"SIM_NVML_POWER_W": ",".join(["200"] * boards)} if boards else {}),
            **({"SIM_NVML_CORES": cores} if cores else {}),
            **settings,
        }
        return subprocess.Popen(
            [sys.executable, "-c", CLAIM, *map(json.dumps, (held, used, replicate))],
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
    assert [core_share(name, near) for name in "abcd"] == [[0, 1], [4], [2, 3], [5, 6]]
    # Fewer cores than devices: each has one anyway.
    few = dict.fromkeys("abc", frozenset({8, 9}))
    assert [len(core_share(name, few)) for name in "abc"] == [1, 1, 1]


def test_more_workers_than_devices_is_one_line() -> None:
    require_devices(2, dict.fromkeys("ab", frozenset({0})))
    with pytest.raises(NoDevice, match=r"gpu=3 asks for 3 workers.* offers 2; use --resources gpu=2$") as refused:
        require_devices(3, dict.fromkeys("ab", frozenset({0})))
    assert "\n" not in str(refused.value)


def test_two_workers_have_different_devices_and_cores_and_a_killed_one_releases_them(machine: Machine) -> None:
    cores = sorted(os.sched_getaffinity(0))
    masks = f"{hex(1 << cores[0])},{hex(1 << cores[-1])}"
    mine = {"workers": 2, "cores": masks}
    with machine.claimed(1, 1, **mine) as (first, one), machine.claimed(1, 1, **mine) as (_, two):
        assert {one["devices"][0], two["devices"][0]} == {uuid(0), uuid(1)}
        for placed in (one, two):
            core = cores[0] if placed["devices"] == [uuid(0)] else cores[-1]
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
        (device,) = alone["devices"]
        assert device in UUIDS[:2] and alone["seen"]["visible"] == device
        assert alone["warning"] is None
        with machine.claiming(1, 1, workers=2) as other:
            assert other.stdout is not None and other.stderr is not None
            assert other.stderr.readline().startswith("waiting")
            time.sleep(0.6)
            assert other.poll() is None
            holder.communicate("")
            assert json.loads(other.stdout.readline())["devices"][0] in UUIDS[:2]
            other.kill()


def test_one_worker_gets_what_its_setup_claims_and_the_machine_to_itself(machine: Machine) -> None:
    with machine.claimed(1, 1, workers=1, boards=8) as (holder, placed):
        (device,) = placed["devices"]
        assert placed["seen"] == {"visible": device, "cores": sorted(os.sched_getaffinity(0))}
        assert (placed["drawn"], placed["warning"], placed["alone"]) == ([device], None, True)
        with machine.claiming(1, 1, workers=1, boards=8) as other:
            assert other.stdout is not None and other.stderr is not None
            assert other.stderr.readline() == "waiting for 8 GPU(s) that other jobs hold\n"
            after = json.loads(holder.communicate("")[0].splitlines()[-1])["after"]
            assert after == [len(os.sched_getaffinity(0)), None]
            assert other.stdout.readline()
            other.kill()
    # Without a GPU there is nothing to hold: studies on processors are not kept apart.
    with machine.claimed(1, 1, workers=1, boards=0) as _, machine.claimed(1, 1, workers=1, boards=0) as (_, second):
        assert second["devices"] == [] and second["seen"]["visible"] is None


@pytest.mark.parametrize(("used", "visible"), [(1, 1), (3, 3), (8, 8), (None, 8), (0, 1)])
def test_a_setup_sees_as_many_as_it_claims_by_uuid(machine: Machine, used: int | None, visible: int) -> None:
    with machine.claimed(1, used, workers=1, boards=8) as (_, placed):
        assert len(set(placed["devices"])) == visible and set(placed["devices"]) <= set(UUIDS)
        assert placed["seen"]["visible"] == ",".join(placed["devices"])


def test_replicates_go_round_the_boards(machine: Machine) -> None:
    used = []
    for replicate in (1, 2, 3, 4):
        with machine.claimed(1, 1, workers=1, boards=4, replicate=replicate) as (_, placed):
            used += placed["devices"]
    assert sorted(used) == UUIDS[:4]


def test_a_board_that_another_job_holds_is_passed_over_and_the_draw_is_recorded(machine: Machine) -> None:
    mine = {"workers": 2, "boards": 4, "replicate": 1}
    with machine.claimed(1, 1, **mine) as (_, first), machine.claimed(1, 1, **mine) as (_, second):
        assert first["drawn"] == second["drawn"] == first["devices"]
        assert second["devices"] != second["drawn"]


def test_what_a_scheduler_grants_is_all_that_there_is(machine: Machine) -> None:
    granted = {"CUDA_VISIBLE_DEVICES": "2,5"}
    for used, count in ((1, 1), (None, 2)):
        with machine.claimed(1, used, workers=1, boards=8, **granted) as (_, placed):
            assert set(placed["devices"]) <= {uuid(2), uuid(5)} and len(placed["devices"]) == count


@pytest.mark.parametrize(
    ("used", "settings", "said"),
    [
        (3, {}, "claims 3 GPUs and 2 can be used here; lower pytorch.devices"),
        (2, {"CUDA_VISIBLE_DEVICES": "0"}, "claims 2 GPUs and 1 can be used here (CUDA_VISIBLE_DEVICES=0)"),
        (1, {"CUDA_VISIBLE_DEVICES": "GPU-nowhere"}, "'GPU-nowhere' names no GPU here; CUDA ignores it"),
        (
            1,
            {"CUDA_VISIBLE_DEVICES": "0,7"},
            "'7' names no GPU here; CUDA ignores it and what follows it. This",
        ),
        (
            1,
            {"SIM_NVML_MIG": "1,1"},
            f"no GPU of this machine can be measured: {uuid(0)}: a MIG instance has",
        ),
        (1, {"CUDA_VISIBLE_DEVICES": "MIG-0123"}, "CUDA_VISIBLE_DEVICES=MIG-0123: MIG-0123 cannot be measured"),
        (1, {"CUDA_VISIBLE_DEVICES": "1", "SIM_NVML_MIG": "0,1"}, f"{uuid(1)} cannot be measured: a MIG instance"),
        (1, {"orders": "0 handle 15\n1 handle 15\n"}, "no GPU of this machine can be measured: GPU 0: GPU is lost"),
        (
            1,
            {"CUDA_VISIBLE_DEVICES": "0", "orders": "0 handle 15\n"},
            "GPU 0 cannot be read: GPU is lost; remove it from the list",
        ),
        (1, {"SIM_NVML_NAMES": "H100,T400"}, "(1 × H100, 1 × T400), and each replicate may get another one"),
    ],
)
def test_what_this_machine_cannot_give_is_one_line(
    machine: Machine, tmp_path: Path, used: int, settings: dict[str, str], said: str
) -> None:
    settings = dict(settings)
    (tmp_path / "orders").write_text(settings.pop("orders", ""), encoding="ascii")
    refused = machine.claiming(1, used, workers=1, SIM_NVML_CONTROL=str(tmp_path / "orders"), **settings)
    line = refused.communicate()[1].splitlines()[-1]
    assert line.startswith("llenergymeasure.pipeline.placement.NoDevice: ") and said in line
    assert refused.returncode == 1


@pytest.mark.parametrize(
    ("used", "settings", "count"),
    [
        (1, {"SIM_NVML_MIG": "1,0"}, 1),
        (1, {"orders": "0 handle 15\n"}, 1),
        (1, {"CUDA_VISIBLE_DEVICES": ""}, 0),
        (0, {"SIM_NVML_MIG": "1,1"}, 0),
        (2, {"SIM_NVML_NAMES": "H100,T400"}, 2),
        (1, {"SIM_NVML_NAMES": "H100,T400", "CUDA_VISIBLE_DEVICES": uuid(1)}, 1),
    ],
)
def test_boards_that_cannot_be_measured_are_not_drawn(
    machine: Machine, tmp_path: Path, used: int, settings: dict[str, str], count: int
) -> None:
    settings = dict(settings)
    (tmp_path / "orders").write_text(settings.pop("orders", ""), encoding="ascii")
    with machine.claimed(1, used, workers=1, SIM_NVML_CONTROL=str(tmp_path / "orders"), **settings) as (_, placed):
        assert len(placed["devices"]) == count
        if count == 1:
            assert placed["devices"] == [uuid(1)]


def test_a_machine_that_is_not_divided_has_no_neighbours() -> None:
    assert Placement(workers=1).warning() is None
