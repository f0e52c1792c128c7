"""What this machine lacks: GPUs that torch cannot use, a compiler, GPUs that are asked for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.gpu.probes import environment
from benchmarks.gpu.scale import BOARD
from energy.simulated_gpus import build_driver
from harness import ROOT

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.engine import machine
from llenergymeasure.engine.check import check_experiment
from llenergymeasure.engine.failure import ExperimentFailure

# torch has no GPU here; for which CUDA it was built is made up.
ASK = """
import json, os, sys, torch
from llenergymeasure.engine.machine import why_no_cuda
for driver, cuda, visible in json.loads(sys.argv[1]):
    os.environ["SIM_NVML_DRIVER"], os.environ["CUDA_VISIBLE_DEVICES"] = driver, visible
    torch.version.cuda = cuda
    print(json.dumps(why_no_cuda.__wrapped__()))
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build the simulated NVML library with")
    return build_driver(tmp_path_factory.mktemp("driver")).parent


def problems(**settings: Any) -> dict[str, str]:
    """Check → message."""
    config = ExperimentConfig.model_validate({"model": "random:llama", **settings})
    return {problem.rule: problem.message for problem in check_experiment(config)}


def test_why_torch_sees_no_gpu_where_nvml_does(driver: Path) -> None:
    cases = [
        ("535.129.03", "13.0", "0,1"),
        ("580.65.06", "13.0", "0,1"),
        ("470.82.01", "12.8", "0"),
        ("525.60.13", "12.8", "0"),
        ("535.129.03", None, "0"),
        ("535.129.03", "13.0", ""),
        ("R535", "13.0", "0"),
    ]
    settings = {"PYTHONPATH": str(ROOT / "scripts"), "LD_LIBRARY_PATH": str(driver), "SIM_NVML_POWER_W": "200,200"}
    command = [sys.executable, "-c", ASK, json.dumps(cases)]
    answers = subprocess.check_output(command, env={**os.environ, **settings}, text=True).splitlines()
    old_13, new_13, old_12, new_12, without, hidden, unnumbered = map(json.loads, answers)
    assert re.fullmatch(
        r"NVML sees 2 GPUs \(driver 535\.129\.03\) and torch \S+ sees none: it is built for CUDA 13\.0, which needs "
        r"driver 580 or newer",
        old_13,
    )
    assert "CUDA 12.8, which needs driver 525 or newer" in old_12
    # Not the driver's age: torch says what it is.
    for other in (new_13, new_12, unnumbered):
        assert "needs driver" not in other and "and says: Torch not compiled with CUDA enabled" in other
    assert without.endswith("it is a build without CUDA")
    assert hidden is None


def test_the_table_of_drivers_is_that_of_the_locks() -> None:
    sys.path.insert(0, str(ROOT / "envs"))
    try:
        from choose_lock import OLDEST_DRIVER
    finally:
        sys.path.pop(0)
    assert {f"cuda{major}": oldest for major, oldest in machine.OLDEST_DRIVER.items() if major > 11} == OLDEST_DRIVER


def test_it_is_an_error_before_and_a_failure_where_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "why_no_cuda", lambda: "driver 535 and CUDA 13")
    assert problems()["cuda-unusable"] == "driver 535 and CUDA 13"
    config = ExperimentConfig(model="random:llama")
    with pytest.raises(
        ExperimentFailure, match=r"driver 535 and CUDA 13; update the driver .*pytorch\.device_map: cpu"
    ):
        machine.require_cuda(config)
    for named in ({"device_map": "cpu"}, {"max_memory": {"cpu": "1GiB"}}):
        assert "cuda-unusable" not in problems(pytorch=named)
        machine.require_cuda(ExperimentConfig.model_validate({"model": "random:llama", "pytorch": named}))


def test_what_compiles_needs_a_compiler_and_headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiled, static = {"torch_compile": True}, {"cache_implementation": "static"}
    assert "requirement-unmet" not in problems(pytorch=compiled)
    monkeypatch.setenv("CC", "no-such-compiler")
    said = problems(pytorch=compiled)["requirement-unmet"]
    assert said == (
        "true: needs a C compiler and Python.h (Debian: gcc, python3-dev), and there is no C compiler here "
        "(no-such-compiler)"
    )
    monkeypatch.delenv("CC")
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: str(tmp_path))
    assert f"{tmp_path}/Python.h does not exist" in problems(pytorch=compiled)["requirement-unmet"]
    # A static cache is compiled on a GPU only.
    assert "requirement-unmet" not in problems(pytorch=static)
    assert "requirement-unmet" not in problems(pytorch={"torch_compile": False})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert "on a GPU a C compiler and Python.h" in problems(pytorch=static)["requirement-unmet"]


@pytest.mark.parametrize("scheme", ["posix_local", "posix_prefix"])
def test_the_headers_of_debians_python_are_found(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its default scheme says /usr/local/include, and the package python3-dev puts them into /usr/include."""
    real = sysconfig.get_paths
    monkeypatch.setattr(sysconfig, "get_paths", lambda of=scheme, *rest: real(of, *rest))
    monkeypatch.setattr(sysconfig, "get_default_scheme", lambda: scheme)
    monkeypatch.setitem(sysconfig._INSTALL_SCHEMES, "posix_local", {"include": "/usr/local/include/python"})
    assert "requirement-unmet" not in problems(pytorch={"torch_compile": True})
    assert environment.compiler(BOARD)["python_h"] is not None


def test_as_many_gpus_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(pytorch={"devices": 2})["requirement-unmet"] == "2: needs as many GPUs, and there are 0 GPUs here"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert "requirement-unmet" not in problems(pytorch={"devices": 2})
