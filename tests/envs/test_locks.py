"""The locks: complete, by hash, and named by the environments that are made from them."""

from __future__ import annotations

import hashlib
import re

import pytest
import yaml
from harness import ROOT

ENVS = ROOT / "envs"
LOCKS = ENVS / "locks"
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)==(?P<version>[^\s;]+)(?P<rest>(?:.*\\\n)*.*)", re.MULTILINE)


def locked(name: str) -> dict[str, tuple[str, str]]:
    """Package → version and the rest of its entry."""
    text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8")
    found = {_plain(item["name"]): (item["version"], item["rest"]) for item in REQUIREMENT.finditer(text)}
    unread = [line for line in REQUIREMENT.sub("", text).splitlines() if line.strip() and not line.startswith("#")]
    assert not unread, f"{name}.txt holds more than packages: {unread[:3]}"
    return found


@pytest.mark.parametrize("name", ["cuda", "cpu", "light", "dev"])
def test_every_package_has_an_exact_version_and_hashes(name: str) -> None:
    packages = locked(name)
    assert len(packages) > 10
    assert not [package for package, (_, rest) in packages.items() if "--hash=sha256:" not in rest]


@pytest.mark.parametrize(
    ("name", "source"), [("cuda", "requirements.txt"), ("cpu", "requirements.txt"), ("dev", "requirements-dev.txt")]
)
def test_the_locks_hold_what_the_requirements_ask_for(name: str, source: str) -> None:
    packages = locked(name)
    text = (ENVS / source).read_text(encoding="utf-8")
    wanted = {_plain(item["name"]): item["version"] for item in REQUIREMENT.finditer(text)}
    assert wanted
    found = {package: packages[package][0].removesuffix("+cpu") for package in wanted}
    assert found == wanted, "run `make locks`"


def test_the_locks_agree_with_each_other() -> None:
    whole = locked("cuda")
    for name in ("cpu", "light", "dev"):
        other = {package: version.removesuffix("+cpu") for package, (version, _) in locked(name).items()}
        common = {package: whole[package][0] for package in other.keys() & whole.keys()}
        assert {package: other[package] for package in common} == common
    assert "torch" not in locked("light")
    assert locked("cpu")["torch"][0].endswith("+cpu")
    assert any(package.startswith("nvidia-cublas") for package in whole)


@pytest.mark.parametrize("environment", ["inference", "light"])
def test_conda_brings_python_and_pip_and_the_post_deploy_script_names_the_locks_by_hash(environment: str) -> None:
    described = yaml.safe_load((ENVS / f"{environment}.yaml").read_text(encoding="utf-8"))
    names = [re.fullmatch(r"(python|pip)=(\d+\.)+\d+", item) for item in described["dependencies"]]
    assert [match and match[1] for match in names] == ["python", "pip"]
    script = (ENVS / f"{environment}.post-deploy.sh").read_text(encoding="utf-8")
    named = dict(reversed(line.split()) for line in script.splitlines() if re.fullmatch(r"[0-9a-f]{64}  \S+", line))
    assert set(named) == ({"light.txt"} if environment == "light" else {"cuda.txt", "cpu.txt"})
    found = {name: hashlib.sha256((LOCKS / name).read_bytes()).hexdigest() for name in named}
    assert found == named, "run `make locks`"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
