"""Errors of a hub in one line that says what to do. No token is ever part of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import get_token
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from llenergymeasure.config.problems.text import first_line
from llenergymeasure.models.errors import SnapshotError
from llenergymeasure.models.hub.download import TooLong

LOG_IN = "set HF_TOKEN or run `hf auth login`"
_TOKEN = re.compile(r"\bhf_\w+")
_USER = re.compile(r"(\w+://)[^/\s@]*@")
_QUERY = re.compile(r"(https?://[^\s?]*)\?\S*")


@contextmanager
def hub_errors(name: str, revision: str, endpoint: str) -> Iterator[None]:
    """Turn whatever huggingface_hub raises into a SnapshotError. name: of the repository"""
    try:
        yield
    except (HTTPError, OfflineModeIsEnabled, TooLong, ValueError, OSError) as error:
        raise SnapshotError(without_secrets(_line(error, name, revision, endpoint))) from error


def without_secrets(text: str) -> str:
    """The text without tokens, without user names and passwords in addresses, and without signed queries."""
    token = _own_token()
    shown = text.replace(token, "…") if token else text
    return _QUERY.sub(r"\1", _USER.sub(r"\1", _TOKEN.sub("hf_…", shown)))


def _line(error: Exception, name: str, revision: str, endpoint: str) -> str:
    match error:
        case LocalEntryNotFoundError():
            cause = error.__cause__
            if isinstance(cause, HTTPError | OfflineModeIsEnabled):
                return _line(cause, name, revision, endpoint)
            return f"{name}: {endpoint} does not answer as a hub does ({first_line(error)}); check HF_ENDPOINT"
        case GatedRepoError():
            return describe_gated(name, f"{endpoint}/{name}")
        case RevisionNotFoundError():
            return f"{name} has no revision {revision!r} on {endpoint}; check it, or run `snakemake pin` again"
        case RemoteEntryNotFoundError():
            return f"{name}@{revision}: a file that the lock names is no longer on {endpoint}; run `snakemake pin`"
        case DisabledRepoError():
            return f"{name} is disabled by {endpoint}; use another model"
        case RepositoryNotFoundError():
            return f"{name} is not on {endpoint}; check the name, or, if it is private, {LOG_IN}"
        case OfflineModeIsEnabled():
            return (
                f"{name} has to be downloaded, but HF_HUB_OFFLINE is set; unset it, or run first, where there is a "
                f"network, hf download {name} --revision {revision}"
            )
        case HfHubHTTPError():
            return describe_refusal(error, name, endpoint)
        case HTTPError():
            return f"{describe_no_answer(error, name, endpoint)}; files that are complete are not downloaded again"
        case TooLong():
            return f"{name}@{revision}: {error}; the download was cut off; check HF_ENDPOINT, or run `snakemake pin`"
    if error.__cause__ is not None and isinstance(error.__cause__, HTTPError | OfflineModeIsEnabled):
        return _line(error.__cause__, name, revision, endpoint)
    return f"{name}: download failed ({first_line(error)}); run again"


def describe_gated(name: str, page: str) -> str:
    """What to do where an owner asks for terms to be accepted, with a token and without. page: where that is done"""
    if _own_token() is None:
        return f"{name} is gated: accept its terms on {page}, then {LOG_IN}"
    return (
        f"{name} is gated, and the account of your token has no access: accept its terms on {page} (some owners "
        "must approve), and use a token that may read gated repositories"
    )


def describe_no_answer(error: HTTPError, name: str, endpoint: str) -> str:
    """What to do where a hub does not answer at all. name: of what was asked for"""
    return (
        f"{name}: {endpoint} cannot be reached ({type(error).__name__}: {first_line(error)}); check the network or "
        "HF_ENDPOINT and run again"
    )


def describe_refusal(error: HfHubHTTPError, name: str, endpoint: str) -> str:
    """What a hub's status means, and what to do. name: of what was asked for"""
    status = error.response.status_code
    if status == 401:
        return f"{name}: {endpoint} does not accept your token (401); {LOG_IN} with a valid one"
    if status == 403:
        return f"{name}: your token may not read it (403); give it read access on {endpoint}/settings/tokens"
    if status == 429:
        wait = error.response.headers.get("Retry-After", "")
        when = f"in {wait} s" if wait.isdigit() else "later"
        return f"{name}: {endpoint} limits how often it is asked (429); run again {when}; a token raises the limit"
    return f"{name}: {endpoint} answered {status}, several times ({first_line(error)}); run again later"


def _own_token() -> str | None:
    try:
        return get_token()
    except Exception:  # noqa: BLE001 - a broken login must not hide the error that is being described
        return None
