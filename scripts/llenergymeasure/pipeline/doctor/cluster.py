"""Conda and SLURM: only where somebody uses them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

from llenergymeasure.config.problems.text import first_few
from llenergymeasure.pipeline.doctor.table import Row

PROFILE = Path("workflow/profiles/slurm/config.yaml")
PLUGIN = "snakemake-executor-plugin-slurm"
ASK_TIMEOUT_S = 10.0


def cluster_rows(root: Path) -> Iterator[Row]:
    conda = shutil.which("mamba") or shutil.which("conda")
    yield Row("conda", conda or "not here; only `--sdm conda` needs it")
    if shutil.which("sbatch") is None:
        yield Row("SLURM", "no sbatch here: jobs run on this machine")
        return
    yield _slurm(root)


def _slurm(root: Path) -> Row:
    try:
        partitions = _partitions()
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error)
        advice = "`sinfo` must answer before jobs can be submitted"
        return Row("SLURM", f"sinfo does not answer: {said}", "warning", advice)
    found = f"partitions: {first_few(partitions, 6) or 'none'}; this table is about this node, not about the others"
    if not any(distributions(name=PLUGIN)):
        return Row("SLURM", found, "warning", f"install {PLUGIN} beside Snakemake")
    wanted = _partition_of_the_profile(root / PROFILE)
    if wanted is not None and wanted not in partitions:
        advice = f"write a partition that exists into {PROFILE} (slurm_partition: {wanted})"
        return Row("SLURM", found, "warning", advice)
    return Row("SLURM", found, "ok", "look at a node: `srun --exclusive --gpus=1 .venv/bin/snakemake doctor`")


def _partitions() -> list[str]:
    command = ["sinfo", "--noheader", "--format=%R"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=ASK_TIMEOUT_S)
    return sorted(set(done.stdout.split()))


def _partition_of_the_profile(profile: Path) -> str | None:
    """Read as text: the profile is a template, which only Snakemake fills in."""
    try:
        match = re.search(r"^\s*slurm_partition:\s*(\S+)", profile.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return match[1] if match else None
