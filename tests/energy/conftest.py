"""A simulated NVIDIA driver, compiled here and loaded by the real binding in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from energy.simulated_gpus import Run, build_driver, run_scenario


@pytest.fixture
def machine(tmp_path: Path) -> Run:
    """Run a scenario on the machine as it is, in an empty folder and with an empty home."""

    def run(order: dict[str, Any], **environment: str) -> dict[str, Any]:
        return run_scenario(tmp_path, {"HOME": str(tmp_path), **environment}, order)

    return run


@pytest.fixture
def toy_machine(machine: Run) -> Run:
    """Run a scenario where the catalogue of meters has the toy's entry."""
    return partial(machine, TOY_METER="1")


@pytest.fixture
def rapl_machine(tmp_path: Path) -> Iterator[Run]:
    """Run a scenario on a machine with one package and its memory, whose counters another process moves."""
    tree, folder = tmp_path / "powercap", tmp_path / "empty"
    folder.mkdir()
    command = [sys.executable, str(Path(__file__).with_name("fake_powercap.py")), str(tree)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as moving:
        assert moving.stdin is not None and moving.stdout is not None
        moving.stdout.readline()

        def run(order: dict[str, Any], **environment: str) -> dict[str, Any]:
            return run_scenario(folder, {"HOME": str(folder), "FAKE_POWERCAP": str(tree), **environment}, order)

        yield run
        moving.stdin.close()


@pytest.fixture(scope="session")
def driver_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with the compiled library: `full`, `old` without the energy counter's symbol, `bare` without sensors."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build the simulated NVML library with")
    folders = {}
    for name, flags in {
        "full": [],
        "old": ["-DWITHOUT_COUNTER"],
        "bare": ["-DWITHOUT_SENSORS"],
    }.items():
        folders[name] = tmp_path_factory.mktemp(f"nvml-{name}")
        build_driver(folders[name], *flags)
    return folders


@pytest.fixture
def gpu_machine(tmp_path: Path, driver_folders: dict[str, Path]) -> Run:
    """Run a scenario on a machine with simulated boards; keyword arguments are SIM_NVML_* or the environment's.

    `virtual`: on a virtual clock, as fast as it goes.
    """
    control = tmp_path / "control"
    folder = tmp_path / "empty"
    folder.mkdir()

    def run(
        order: dict[str, Any], *, driver: str = "full", control_text: str = "", virtual: bool = False, **settings: str
    ) -> dict[str, Any]:
        control.write_text(control_text, encoding="ascii")
        environment = {
            "LD_LIBRARY_PATH": str(driver_folders[driver]),
            "SIM_NVML_CONTROL": str(control),
            "HOME": str(folder),
        }
        if virtual:
            environment["SIM_VIRTUAL"] = "1"
        settings = {"power_w": "200", **settings}
        environment |= {
            name if name.isupper() else f"SIM_NVML_{name.upper()}": value for name, value in settings.items()
        }
        return run_scenario(folder, environment, order)

    return run


@pytest.fixture
def quick_gpu_machine(gpu_machine: Run) -> Run:
    """As `gpu_machine`, on a virtual clock."""
    return partial(gpu_machine, virtual=True)
