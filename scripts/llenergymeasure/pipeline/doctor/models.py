"""The study's models: whether files that are here already rule one out, and what is still to be downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure.config.study.lock import FileHash, LockError, ModelsLock, read_lock
from llenergymeasure.config.study.study import DEFAULT_LOCK
from llenergymeasure.pipeline.doctor.configured import Configured
from llenergymeasure.pipeline.doctor.table import Row
from llenergymeasure.pipeline.run.paths import MODELS, StudyPaths


@dataclass(frozen=True)
class NotMade:
    """A hub model without a snapshot in results/models.

    size_bytes: of the files that the lock names; missing_bytes: of those that the Hugging Face cache lacks. Both are 0
        where the lock does not name its files
    """

    name: str
    size_bytes: int
    missing_bytes: int
    in_lock: bool

    @property
    def to_download(self) -> bool:
        return self.missing_bytes > 0 or not self.in_lock


def model_rows(configured: Configured) -> Iterator[Row]:
    """One row per model that cannot be used, as `validate` says it."""
    try:
        from llenergymeasure.models.preflight import why_unusable
    except ImportError:
        return  # without huggingface_hub, which the row on the hub says
    lock = _lock()
    for source in filter(lambda source: source.is_pinned, configured.sources()):
        reason = why_unusable(source, lock, Path(MODELS))
        if reason is not None:
            advice = "`snakemake validate` names the experiments that need it"
            yield Row("model", reason, "problem" if configured.stops_on_failure else "warning", advice)


def models_not_made(configured: Configured) -> list[NotMade]:
    """Those that a run would take from the hub, or from its cache."""
    lock, is_cached = _lock(), _cache_lookup()
    models = []
    for source in configured.sources():
        if not source.is_pinned:
            models.append(NotMade(source.name, 0, 0, in_lock=False))
            continue
        if source.ref.kind != "hub" or Path(StudyPaths.snapshot.format(key=source.key)).exists():
            continue
        name, commit = source.ref.name, str(source.revision)
        files: dict[str, FileHash] = lock.files(name, commit) or {}
        missing = sum(file.size for path, file in files.items() if not is_cached(name, commit, path))
        models.append(NotMade(source.name, sum(file.size for file in files.values()), missing, bool(files)))
    return models


def _lock() -> ModelsLock:
    """Empty where it cannot be read; the row on the study says so."""
    try:
        return read_lock(DEFAULT_LOCK)
    except LockError:
        return ModelsLock()


def _cache_lookup() -> Callable[[str, str, str], bool]:
    try:
        from llenergymeasure.models.hub.cache import cached_file
    except ImportError:
        return lambda *_: False
    return lambda name, commit, path: cached_file(name, commit, path) is not None
