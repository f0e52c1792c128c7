"""Downloads by huggingface_hub into its cache, with an end: never more than was declared, and not for ever again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HTTPError
from huggingface_hub.utils import tqdm

# Seconds before each new attempt, after a hiccup of the server.
_WAITS_S = (1.0, 2.0, 4.0)
_HICCUPS = (500, 502, 503, 504)
_CONNECTION_LOST = ("ReadError", "WriteError", "RemoteProtocolError", "ReadTimeout")
# The library gives this name to the bar of a plain download. Xet checks the hash of each part that it gets.
_PLAIN = "huggingface_hub.http_get"


Result = TypeVar("Result")


class TooLong(Exception):
    """More bytes arrive than the file has."""


def download_to_cache(
    name: str,
    commit: str,
    path: str,
    *,
    size: int | None,
    endpoint: str,
    again: bool = False,
    repo_type: Literal["model", "dataset"] = "model",
) -> Path:
    """The file in the Hugging Face cache, downloaded unless it is there. size: bytes, as declared; None: not known

    Raises what huggingface_hub raises, or TooLong.
    """
    return Path(
        with_retries(
            lambda: hf_hub_download(
                name,
                path,
                repo_type=repo_type,
                revision=commit,
                endpoint=endpoint,
                force_download=again,
                tqdm_class=None if size is None else _bounded(path, size),
                # A compressed body could be a small one that unpacks to an endless file.
                headers={"Accept-Encoding": "identity"},
            )
        )
    )


def with_retries(ask: Callable[[], Result]) -> Result:
    """What `ask` returns; asks again after a hiccup of the server (5xx, a connection that breaks off)."""
    for wait_s in _WAITS_S:
        try:
            return ask()
        except HTTPError as error:
            if not _is_hiccup(error):
                raise
        time.sleep(wait_s)
    return ask()


def _is_hiccup(error: HTTPError) -> bool:
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _HICCUPS
    return type(error).__name__ in _CONNECTION_LOST


def _bounded(path: str, size: int) -> type[tqdm]:
    """A progress bar that ends the download of a file when more than `size` bytes arrive.

    The library tells it of each part before it writes it.
    """

    class Bounded(tqdm):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            self._is_plain = named.get("name") == _PLAIN
            self._arrived = int(named.get("initial") or 0)
            super().__init__(*arguments, **named)

        def update(self, n: float | None = 1) -> bool | None:
            self._arrived += int(n or 0)
            if self._is_plain and self._arrived > size:
                raise TooLong(f"{path} is longer than the {size} bytes that it should have")
            shown: bool | None = super().update(n)
            return shown

    return Bounded
