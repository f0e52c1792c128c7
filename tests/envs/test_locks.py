"""The locks: complete, by hash, and named by the environments that are made from them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from energy.simulated_gpus import build_driver
from harness import ROOT

ENVS = ROOT / "envs"
BUILD = re.compile(r"^(nvidia-(?!ml-py)|cuda-|triton|torch==|setuptools)")
LOCKS = ENVS / "locks"
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)==(?P<version>[^\s;]+)(?P<rest>(?:.*\\\n)*.*)", re.MULTILINE)


def locked(name: str) -> dict[str, tuple[str, str]]:
    """Package → version and the rest of its entry."""
    text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8")
    packages = {_plain(item["name"]): (item["version"], item["rest"]) for item in REQUIREMENT.finditer(text)}
    unread = [line for line in REQUIREMENT.sub("", text).splitlines() if line.strip() and not line.startswith("#")]
    assert not unread, f"{name}.txt holds more than packages: {unread[:3]}"
    return packages


@pytest.mark.parametrize("name", ["cuda13", "cuda12", "cpu", "light", "dev"])
def test_every_package_has_an_exact_version_and_hashes(name: str) -> None:
    packages = locked(name)
    assert len(packages) > 10
    assert not [package for package, (_, rest) in packages.items() if "--hash=sha256:" not in rest]


@pytest.mark.parametrize(
    ("name", "source"), [("cuda13", "requirements.txt"), ("cpu", "requirements.txt"), ("dev", "requirements-dev.txt")]
)
def test_the_locks_hold_what_the_requirements_ask_for(name: str, source: str) -> None:
    packages = locked(name)
    text = (ENVS / source).read_text(encoding="utf-8")
    wanted = {_plain(item["name"]): item["version"] for item in REQUIREMENT.finditer(text)}
    assert wanted
    versions = {package: packages[package][0].removesuffix("+cpu") for package in wanted}
    assert versions == wanted, "run `make locks`"


def test_the_locks_agree_with_each_other() -> None:
    whole = locked("cuda13")
    for name in ("cpu", "light", "dev"):
        other = {package: version.removesuffix("+cpu") for package, (version, _) in locked(name).items()}
        common = {package: whole[package][0] for package in other.keys() & whole.keys()}
        assert {package: other[package] for package in common} == common
    assert "torch" not in locked("light")
    assert locked("cpu")["torch"][0].endswith("+cpu")


@pytest.mark.parametrize(("name", "package"), [("cuda13", "nvidia-cudnn-cu13"), ("cuda12", "nvidia-cudnn-cu12")])
def test_the_cuda_locks_are_for_the_cuda_that_they_name(name: str, package: str) -> None:
    packages = locked(name)
    assert package in packages
    other = {"cuda13": "-cu12", "cuda12": "-cu13"}[name]
    assert not [pinned for pinned in packages if pinned.endswith(other)]
    # The builds of torch differ, and so do the packages that they bring along; nothing else.
    mine = {pinned: version for pinned, (version, _) in packages.items() if not BUILD.match(f"{pinned}==")}
    whole = {pinned: version for pinned, (version, _) in locked("cuda13").items() if not BUILD.match(f"{pinned}==")}
    assert mine == whole


@pytest.mark.parametrize(
    ("driver", "lock"),
    [("580.65.06", "cuda13"), ("595.10", "cuda13"), ("575.57.08", "cuda12"), ("525.60.13", "cuda12")],
)
def test_the_driver_decides_which_lock(driver: str, lock: str, simulated_driver: Path) -> None:
    assert chosen(simulated_driver, driver) == (0, lock)
    assert chosen(simulated_driver, driver, LLENERGYMEASURE_TORCH="cpu") == (0, "cpu")


def test_a_driver_that_is_too_old_for_both_is_one_line(simulated_driver: Path) -> None:
    code, line = chosen(simulated_driver, "470.82.01")
    assert code == 1 and "NVIDIA driver 470.82.01 is too old" in line and "525 or newer" in line and "580" in line
    code, line = chosen(simulated_driver, "580.1", LLENERGYMEASURE_TORCH="cuda")
    assert code == 1 and line == "LLENERGYMEASURE_TORCH=cuda: use one of cuda13, cuda12, cpu"


def test_a_machine_that_installs_for_others_takes_the_newest() -> None:
    done = subprocess.run([sys.executable, ENVS / "choose_lock.py", "--cuda"], capture_output=True, text=True)
    assert done.stdout == "cuda13\n"


@pytest.fixture(scope="session")
def simulated_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build the simulated NVML library with")
    return build_driver(tmp_path_factory.mktemp("driver")).parent


def chosen(driver: Path, version: str, **environment: str) -> tuple[int, str]:
    """What choose_lock.py says on a machine whose driver has that version, with `python -S`: without any package."""
    command = [sys.executable, "-I", "-S", str(ENVS / "choose_lock.py")]
    settings = {"LD_LIBRARY_PATH": str(driver), "SIM_NVML_DRIVER": version, "SIM_NVML_POWER_W": "200", **environment}
    done = subprocess.run(command, env={"PATH": os.environ["PATH"], **settings}, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.mark.parametrize("environment", ["inference", "light"])
def test_conda_brings_python_and_pip_and_the_post_deploy_script_names_the_locks_by_hash(environment: str) -> None:
    described = yaml.safe_load((ENVS / f"{environment}.yaml").read_text(encoding="utf-8"))
    names = [re.fullmatch(r"(python|pip)=(\d+\.)+\d+", item) for item in described["dependencies"]]
    assert [match and match[1] for match in names] == ["python", "pip"]
    script = (ENVS / f"{environment}.post-deploy.sh").read_text(encoding="utf-8")
    named = dict(reversed(line.split()) for line in script.splitlines() if re.fullmatch(r"[0-9a-f]{64}  \S+", line))
    assert set(named) == ({"light.txt"} if environment == "light" else {"cuda13.txt", "cuda12.txt", "cpu.txt"})
    hashes = {name: hashlib.sha256((LOCKS / name).read_bytes()).hexdigest() for name in named}
    assert hashes == named, "run `make locks`"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
