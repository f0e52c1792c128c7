"""A file of a dataset repository on the Hugging Face hub, pinned by its commit: its first rows."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from llenergymeasure.config import DatasetConfig
from llenergymeasure.measurement.prompts.errors import PromptError
from llenergymeasure.measurement.prompts.sources.row_files import HUB_FORMATS, first_rows, require_format
from llenergymeasure.measurement.prompts.sources.source import Texts, TextSource, Wanted, required


class Hub(TextSource):
    local = False

    def check(self, dataset: DatasetConfig) -> None:
        path = PurePosixPath(required(dataset, "path"))
        for key in ("name", "revision", "column"):
            required(dataset, key)
        require_format(path.name, HUB_FORMATS)
        if path.is_absolute() or ".." in path.parts or "\\" in str(path):
            raise PromptError(f"dataset.path: {path} is not a path inside the dataset's repository")

    def read(self, dataset: DatasetConfig, wanted: Wanted) -> Texts:
        name, path = required(dataset, "name"), required(dataset, "path")
        fetched = wanted.fetch(name, required(dataset, "revision"), path)
        return first_rows(fetched, f"{name}/{path}", required(dataset, "column"), wanted.n, kind="hub")


def fetch_hub_file(name: str, revision: str, path: str) -> Path:
    """A file of a dataset repository at a commit, from the Hugging Face cache or, where it is not there, the hub.

    With HF_HUB_OFFLINE set (as in the process that measures) only the cache is asked.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HTTPError,
        LocalEntryNotFoundError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"dataset {name}@{revision[:12]}"
    try:
        return Path(hf_hub_download(name, path, repo_type="dataset", revision=revision))
    except GatedRepoError as error:
        raise PromptError(f"{where} is gated: accept its terms on the hub and set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise PromptError(f"dataset {name} has no commit {revision}; check dataset.revision") from error
    except RepositoryNotFoundError as error:
        raise PromptError(f"there is no dataset {name} on the hub (or it is private: set HF_TOKEN)") from error
    except RemoteEntryNotFoundError as error:
        raise PromptError(f"{where} has no file {path}; check dataset.path") from error
    except LocalEntryNotFoundError as error:
        raise PromptError(f"{path} of {where} is not in the local cache and the hub cannot be reached") from error
    except (HTTPError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise PromptError(f"{path} of {where} cannot be downloaded ({type(error).__name__}: {reason})") from error
