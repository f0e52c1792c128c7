"""models.lock.yaml: which commit a branch name stood for when it was pinned, and what each file hashes to.

models:
  org/name:
    main:                     # the revision the study asks for
      commit: 0123…           # 40 hexadecimal digits
      files:
        model.safetensors: {sha256: …, size: 269060552}
datasets:
  org/name:
  - revision: main            # what the study asks for: a split of a configuration, or files
    config: en
    split: train
    commit: 4567…
    files:
      en/train.parquet: {sha256: …, size: 1204233}
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.config.settings.model_ref import COMMIT, parse_model_ref, safe_relative_path
from llenergymeasure.records.storage.atomic import write_text

DEFAULT_REVISION = "main"
_HEADER = (
    "# Written by `snakemake pin`: commits and file hashes of all models and data sets on a hub. Commit this file.\n"
)


class LockError(ValueError):
    """models.lock.yaml cannot be used. One line that says what to do."""


def _inside(path: str) -> str:
    if not safe_relative_path(path):
        raise ValueError(f"{path!r} is not a path inside a model folder")
    return path


def _hub_name(name: str) -> str:
    if parse_model_ref(name).kind != "hub":
        raise ValueError(f"{name!r} is not a hub name (org/name)")
    return name


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FilePath = Annotated[str, AfterValidator(_inside)]
HubName = Annotated[str, AfterValidator(_hub_name)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileHash(_Strict):
    """SHA-256 of a file's bytes and its size in bytes."""

    sha256: Sha256
    size: int = Field(ge=0)


class Pin(_Strict):
    """One revision of one model."""

    commit: str = Field(pattern=r"^[0-9a-f]{40}$")
    files: dict[FilePath, FileHash] = {}


class DatasetAsked(_Strict):
    """What a study asks of a data set: files of a revision, or a split of a configuration (None: the default one)."""

    revision: str
    config: str | None = None
    split: str | None = None
    paths: tuple[FilePath, ...] = ()


class DatasetPin(DatasetAsked):
    """What that was when it was pinned: a commit and its files, which are read in the order of `paths` or of their
    names."""

    commit: str = Field(pattern=r"^[0-9a-f]{40}$")
    files: dict[FilePath, FileHash]

    @property
    def asked(self) -> DatasetAsked:
        return DatasetAsked(revision=self.revision, config=self.config, split=self.split, paths=self.paths)


class ModelsLock(_Strict):
    """Every pin. models: org/name -> requested revision -> pin; datasets: org/name -> pins"""

    models: dict[HubName, dict[str, Pin]] = {}
    datasets: dict[HubName, tuple[DatasetPin, ...]] = {}

    def commit(self, name: str, revision: str | None) -> str | None:
        """The commit to which `revision` (None: the hub's default branch) is pinned; a commit is its own pin."""
        requested = revision or DEFAULT_REVISION
        if COMMIT.fullmatch(requested):
            return requested
        pin = self.models.get(name, {}).get(requested)
        return pin.commit if pin else None

    def files(self, name: str, commit: str) -> dict[str, FileHash] | None:
        """The hashes recorded for a commit, or None if the lock has none."""
        for pin in self.models.get(name, {}).values():
            if pin.commit == commit and pin.files:
                return dict(pin.files)
        return None

    def only(
        self, wanted: Collection[tuple[str, str | None]], datasets: Collection[tuple[str, str]] = ()
    ) -> ModelsLock:
        """The entries of these (name, commit) pairs of models and of data sets alone."""
        kept = {
            name: {revision: pin for revision, pin in pins.items() if (name, pin.commit) in wanted}
            for name, pins in self.models.items()
        }
        read = {
            name: tuple(pin for pin in pins if (name, pin.commit) in datasets) for name, pins in self.datasets.items()
        }
        return ModelsLock(
            models={name: pins for name, pins in kept.items() if pins},
            datasets={name: pins for name, pins in read.items() if pins},
        )

    def with_pin(self, name: str, revision: str, pin: Pin) -> ModelsLock:
        """A lock that also holds `pin`; every other entry is kept."""
        revisions = {**self.models.get(name, {}), revision: pin}
        return self.model_copy(update={"models": {**self.models, name: revisions}})

    def dataset(self, name: str, asked: DatasetAsked) -> DatasetPin | None:
        return next((pin for pin in self.datasets.get(name, ()) if pin.asked == asked), None)

    def dataset_file(self, name: str, commit: str, path: str) -> FileHash | None:
        """The hash recorded for a file of a data set at a commit, or None if the lock has none."""
        pins = (pin for pin in self.datasets.get(name, ()) if pin.commit == commit)
        return next((pin.files[path] for pin in pins if path in pin.files), None)

    def with_dataset(self, name: str, pin: DatasetPin) -> ModelsLock:
        """A lock that also holds this pin of a data set; every other entry is kept."""
        others = [other for other in self.datasets.get(name, ()) if other.asked != pin.asked]
        pins = sorted([*others, pin], key=lambda one: one.asked.model_dump_json())
        return self.model_copy(update={"datasets": {**self.datasets, name: tuple(pins)}})


def read_lock(path: Path) -> ModelsLock:
    """The lock in `path`; a missing file is an empty lock. LockError if the file cannot be read."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ModelsLock()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LockError(f"{path}: cannot be read as YAML ({first_line(error)}); run `snakemake pin`") from error
    try:
        return ModelsLock.model_validate({} if content is None else content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        message = first["msg"].removeprefix("Value error, ")
        raise LockError(f"{path}: {where}: {message}; restore it or run `snakemake pin`") from error


def write_lock(lock: ModelsLock, path: Path) -> None:
    """Write atomically and sorted: the same pins give the same bytes."""
    path = Path(path)
    # What is not set is not written.
    content = lock.model_dump(mode="json", exclude_defaults=True)
    text = _HEADER + yaml.safe_dump({"models": {}, **content}, sort_keys=True, width=120)
    write_text(text, path)
