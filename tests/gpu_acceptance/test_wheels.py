"""`make gpu-wheels`: what is carried is locked, small enough and still a wheel."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from benchmarks.gpu import wheels
from benchmarks.gpu.parts import LIBRARY


def names() -> list[str]:
    return wheels.carried(wheels.NAMES.read_text(encoding="utf-8"))


def made(folder: Path, name: str, files: dict[str, str]) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)
    return path


def test_everything_carried_is_locked_with_hashes_and_named_without_a_version() -> None:
    entries = wheels.locked(names(), wheels.LOCK.read_text(encoding="utf-8"))
    assert len(entries) == len(names()) > 40
    assert all("--hash=sha256:" in entry and entry.startswith(f"{name}==") for name, entry in entries.items())
    assert not any("==" in name for name in names())
    assert set(wheels.KEPT) | wheels.SOURCE_ONLY <= set(names())
    assert {prefix.rstrip("-").replace("_", "-") for prefix in LIBRARY} <= set(names())


def test_what_the_carried_packages_need_in_a_newer_version_is_carried_too() -> None:
    assert {"anyio", "click", "greenlet", "idna", "nvidia-ml-py", "regex", "typing-extensions"} <= set(names())


def test_a_name_that_is_not_locked_is_said() -> None:
    with pytest.raises(wheels.WheelsError, match=r"does not lock no-such, nothing"):
        wheels.locked(["nothing", "no-such", "a"], "a==1.0 \\\n    --hash=sha256:0\n")


def test_a_repacked_wheel_lists_what_it_holds(tmp_path: Path) -> None:
    record = "pulp/a.py,sha256=1,1\npulp/solverdir/cbc/linux/cbc,sha256=2,2\npulp-1.dist-info/RECORD,,\n"
    files = {"pulp/a.py": "a", "pulp/solverdir/cbc/linux/cbc": "x" * 100, "pulp-1.dist-info/RECORD": record}
    wheel = made(tmp_path, "pulp-1-py3-none-any.whl", files)
    wheels.repack(wheel, wheels.KEPT["pulp"])
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == {"pulp/a.py", "pulp-1.dist-info/RECORD"}
        assert archive.read("pulp-1.dist-info/RECORD").decode() == "pulp/a.py,sha256=1,1\npulp-1.dist-info/RECORD,,\n"


def test_bitsandbytes_keeps_its_libraries_for_cuda_13_and_the_processor() -> None:
    keep = wheels.KEPT["bitsandbytes"]
    kept = [name for name in ("cuda118", "cuda128", "cuda130", "cpu", "rocm63") if keep(f"b/libbitsandbytes_{name}.so")]
    assert kept == ["cuda130", "cpu"]
    assert keep("bitsandbytes/nn/modules.py")


def test_a_set_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    wanted = {"a": "a==1.0 \\", "b-c": "b-c==2.0 \\"}
    good = [made(tmp_path, "a-1.0-py3-none-any.whl", {}), made(tmp_path, "b_c-2.0-py3-none-any.whl", {})]
    wheels.check(good, wanted)
    with pytest.raises(wheels.WheelsError, match="b-c"):
        wheels.check(good[:1], wanted)
    with pytest.raises(wheels.WheelsError, match="locked version: a"):
        wheels.check([*good, made(tmp_path, "a-1.1-py3-none-any.whl", {})], wanted)


def test_a_set_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = made(tmp_path, "a-1.0-py3-none-any.whl", {"a.py": "x" * 1000})
    monkeypatch.setattr(wheels, "LIMIT_BYTES", 100)
    with pytest.raises(wheels.WheelsError, match="repack a large one"):
        wheels.check([wheel], {"a": "a==1.0"})
