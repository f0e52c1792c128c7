"""`make gpu-wheels`: collect in .whl/ what a bare GPU machine without a network lacks, at most 40 MiB.

python -m benchmarks.gpu.wheels [FOLDER]

`carried.txt` names the packages; versions and hashes are those of envs/locks/cuda13.txt, and pip refuses a file whose
hash is not in the lock. The wheels are for CPython 3.12 on x86-64 Linux, whatever this machine is. Two large ones are
repacked after the check: pulp without its solvers (Snakemake then needs `--scheduler greedy`), and bitsandbytes with
its libraries for CUDA 13.0 and for the CPU only. Takes about a minute.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = Path(__file__).with_name("carried.txt")
LOCK = ROOT / "envs" / "locks" / "cuda13.txt"
FOLDER = ROOT / ".whl"
LIMIT_BYTES = 40 << 20
# pip matches a platform's name exactly, so every one that a wheel for a current glibc may carry is named.
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(40, 4, -1)] + [
    "manylinux2014_x86_64",
    "manylinux2010_x86_64",
    "manylinux1_x86_64",
]
# Published as source only, and pure Python: their wheels are built here.
SOURCE_ONLY = frozenset({"connection-pool"})
# By distribution: which of the wheel's files stay.
KEPT: dict[str, Callable[[str], bool]] = {
    "pulp": lambda name: "/solverdir/" not in name or name.endswith(".py"),
    "bitsandbytes": lambda name: not name.endswith(".so") or name.endswith(("_cuda130.so", "_cpu.so")),
}


class WheelsError(Exception):
    """The set cannot be collected; the message says why."""


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    try:
        wheels = collect(folder)
    except (WheelsError, subprocess.CalledProcessError) as error:
        print(f"gpu-wheels: {error}", file=sys.stderr)
        return 1
    for wheel in wheels:
        print(f"{wheel.stat().st_size / 1e6:8.2f} MB  {wheel.name}")
    print(
        f"{total_bytes(wheels) / (1 << 20):8.2f} MiB in {len(wheels)} wheels in {folder} "
        f"(limit {LIMIT_BYTES >> 20} MiB)"
    )
    return 0


def collect(folder: Path) -> list[Path]:
    """Download, build, repack and check; the wheels, by name. What else lay in the folder is removed.

    Raises:
        WheelsError: a name is not locked, a wheel is missing, or the set is too large.
        subprocess.CalledProcessError: pip failed; it has said why.
    """
    wanted = locked(carried(NAMES.read_text(encoding="utf-8")), LOCK.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    _download({name: entry for name, entry in wanted.items() if name not in SOURCE_ONLY}, folder)
    _build({name: entry for name, entry in wanted.items() if name in SOURCE_ONLY}, folder)
    wheels = sorted(folder.glob("*.whl"))
    for wheel in wheels:
        keep = KEPT.get(distribution_name(wheel))
        if keep is not None:
            repack(wheel, keep)
    check(wheels, wanted)
    return wheels


def carried(text: str) -> list[str]:
    """The names of `carried.txt`, one per line."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def locked(names: Iterable[str], lock: str) -> dict[str, str]:
    """Name → entry of the lock, with version and hashes, as pip reads it.

    Raises:
        WheelsError: the lock lacks a name.
    """
    entries = {
        match["name"]: match[0] for match in re.finditer(r"^(?P<name>[a-z0-9-]+)==\S+(?:.*\\\n)*.*", lock, re.MULTILINE)
    }
    missing = sorted(set(names) - set(entries))
    if missing:
        raise WheelsError(f"{LOCK.name} does not lock {', '.join(missing)}; remove them from {NAMES.name}")
    return {name: entries[name] for name in names}


def repack(wheel: Path, keep: Callable[[str], bool]) -> None:
    """Remove the files that `keep` refuses, also from the wheel's own list of its files."""
    smaller = wheel.with_suffix(".smaller")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(smaller, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        kept = {name for name in old.namelist() if keep(name)}
        for item in old.infolist():
            if item.filename in kept:
                content = old.read(item)
                if item.filename.endswith(".dist-info/RECORD"):
                    lines = content.decode("utf-8").splitlines(keepends=True)
                    content = "".join(line for line in lines if line.split(",")[0] in kept).encode("utf-8")
                new.writestr(item, content, zipfile.ZIP_DEFLATED)
    smaller.replace(wheel)


def check(wheels: list[Path], wanted: dict[str, str]) -> None:
    """Exactly one wheel per name, of the locked version, and all of them within the limit."""
    versions_here = {distribution_name(wheel): wheel.name.split("-")[1] for wheel in wheels}
    versions = {name: pinned_version(entry) for name, entry in wanted.items()}
    if versions_here != versions or len(versions_here) != len(wheels):
        differing = sorted(
            name for name in versions_here.keys() | versions.keys() if versions_here.get(name) != versions.get(name)
        )
        raise WheelsError(f"not one wheel of the locked version: {', '.join(differing)}")
    if total_bytes(wheels) > LIMIT_BYTES:
        raise WheelsError(
            f"the wheels have {total_bytes(wheels) / (1 << 20):.1f} MiB, more than {LIMIT_BYTES >> 20} MiB: remove a "
            f"package from {NAMES.name}, or repack a large one (KEPT in {Path(__file__).name})"
        )


def distribution_name(wheel: Path) -> str:
    """The normalised name of a wheel's distribution."""
    return wheel.name.split("-")[0].lower().replace("_", "-").replace(".", "-")


def pinned_version(entry: str) -> str:
    return entry.split("==", 1)[1].split()[0]


def total_bytes(wheels: Iterable[Path]) -> int:
    return sum(wheel.stat().st_size for wheel in wheels)


def _download(entries: dict[str, str], folder: Path) -> None:
    platforms = [option for name in PLATFORMS for option in ("--platform", name)]
    options = ["--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp", *platforms]
    _pip("download", entries, *options, "--dest", str(folder))


def _build(entries: dict[str, str], folder: Path) -> None:
    _pip("wheel", entries, "--wheel-dir", str(folder))


def _pip(command: str, entries: dict[str, str], *options: str) -> None:
    """Run pip on these entries of the lock; it checks every file against the hashes."""
    with tempfile.TemporaryDirectory() as name:
        requirements = Path(name, "carried.txt")
        requirements.write_text("\n".join(entries.values()) + "\n", encoding="utf-8")
        call = [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*call, "--require-hashes", "-r", str(requirements), *options], check=True)


if __name__ == "__main__":
    raise SystemExit(main())
