"""The model hub: the token (never shown), the cache, and whether anything may be downloaded."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from llenergymeasure.config.problems.text import counted, first_few, first_line
from llenergymeasure.pipeline.doctor.configured import Configured
from llenergymeasure.pipeline.doctor.models import models_not_made
from llenergymeasure.pipeline.doctor.table import Row

OFFLINE = "HF_HUB_OFFLINE"
CONNECT_TIMEOUT_S = 2.0


def hub_rows(configured: Configured) -> Iterator[Row]:
    missing = [model.name for model in models_not_made(configured) if model.to_download]
    try:
        from huggingface_hub import constants, is_offline_mode

        from llenergymeasure.models.hub.api import endpoint
    except ImportError as error:
        found = f"huggingface_hub cannot be imported here: {first_line(error)}{_wanted(missing)}"
        yield Row("hub", found, "warning" if missing else "ok")
        return
    if is_offline_mode():
        advice = f"unset {OFFLINE}, or run `snakemake --until model` where there is a network" if missing else ""
        found = f"{OFFLINE} is set: nothing is downloaded"
        yield Row("hub", f"{found}{_wanted(missing)}", "warning" if missing else "ok", advice)
    else:
        reached = _is_reached(endpoint())
        words = "can be reached" if reached else "cannot be reached from here"
        found = f"{endpoint()} {words}{_wanted(missing)}"
        if missing and not reached:
            advice = "check the network, HTTPS_PROXY and HF_ENDPOINT; nodes of a cluster often have no network"
            yield Row("hub", found, "warning", advice)
        else:
            yield Row("hub", found)
        yield _token(reached=reached)
    yield _cache(Path(constants.HF_HUB_CACHE))


def _wanted(missing: list[str]) -> str:
    return f"; {counted(len(missing), 'model')} of the study to fetch: {first_few(missing)}" if missing else ""


def _is_reached(address: str) -> bool:
    parts = urlsplit(address)
    port = parts.port or {"http": 80}.get(parts.scheme, 443)
    try:
        socket.create_connection((parts.hostname or "", port), CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _token(*, reached: bool) -> Row:
    """Whose it is, where the hub can be asked."""
    from huggingface_hub import HfApi, get_token

    from llenergymeasure.models.hub.api import endpoint

    if get_token() is None:
        advice = "only gated and private models need one: `hf auth login`, or set HF_TOKEN"
        return Row("hub token", "none", "ok", advice)
    place = "HF_TOKEN" if os.environ.get("HF_TOKEN") else "the login's file"
    if not reached:
        return Row("hub token", f"there, from {place}; the hub was not asked whose it is")
    try:
        name = HfApi(endpoint=endpoint()).whoami()["name"]
    except Exception as error:  # noqa: BLE001  whatever the hub or the way to it answers
        found = f"from {place}; the hub does not accept it: {type(error).__name__}"
        return Row("hub token", found, "warning", "make a new one on the hub, then `hf auth login`")
    return Row("hub token", f"of {name}, from {place}")


def _cache(folder: Path) -> Row:
    if not folder.is_dir():
        return Row("hub cache", f"{folder}, empty")
    # Every file once: a snapshot links to the blobs.
    sizes = {(status.st_dev, status.st_ino): status.st_size for status in _files(folder)}
    return Row("hub cache", f"{folder}, {sum(sizes.values()) / 1e9:.1f} GB")


def _files(folder: Path) -> Iterator[os.stat_result]:
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(Path(place, name))
            except OSError:
                continue
