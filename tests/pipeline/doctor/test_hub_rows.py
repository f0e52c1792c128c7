"""The hub's token, which is never shown, its cache, and whether it may be asked."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from llenergymeasure.config import ExperimentConfig
from llenergymeasure.pipeline.doctor.configured import Configured
from llenergymeasure.pipeline.doctor.hub import hub_rows
from llenergymeasure.pipeline.doctor.table import Row

TOKEN = "hf_secretsecretsecret"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
EIGHT = Configured([ExperimentConfig.model_validate({"model": "org/eight", "pytorch": {"revision": COMMIT}})])


class WhoAmI(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        body = json.dumps({"name": "ada", "type": "user"} if known else {"error": "Invalid user token."}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a hub that knows one token; nobody is logged in, and the cache is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), WhoAmI) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield address
        server.shutdown()


def rows(configured: Configured) -> dict[str, Row]:
    listed = list(hub_rows(configured))
    assert TOKEN not in repr(listed)
    return {row.what: row for row in listed}


def test_whose_token_it_is_and_never_the_token(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows(EIGHT)["hub"] == Row("hub", f"{hub} can be reached; 1 model of the study to fetch: org/eight")
    none = rows(EIGHT)["hub token"]
    assert (none.status, none.found) == ("ok", "none") and "`hf auth login`" in none.advice
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert rows(EIGHT)["hub token"] == Row("hub token", "of ada, from HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    refused = rows(EIGHT)["hub token"]
    assert refused.status == "warning" and "the hub does not accept it" in refused.found


@pytest.mark.usefixtures("hub")
def test_a_hub_that_cannot_be_reached_matters_only_if_something_is_to_be_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    found = rows(EIGHT)
    assert found["hub"].status == "warning" and "cannot be reached" in found["hub"].found
    assert found["hub token"].found == "there, from HF_TOKEN; the hub was not asked whose it is"
    assert rows(Configured())["hub"].status == "ok"


@pytest.mark.usefixtures("hub")
def test_offline_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    found = rows(EIGHT)
    assert found["hub"].status == "warning" and found["hub"].found.startswith("HF_HUB_OFFLINE is set")
    assert "`snakemake --until model`" in found["hub"].advice
    assert "hub token" not in found
    assert rows(Configured())["hub"].status == "ok"


@pytest.mark.usefixtures("hub")
def test_the_cache_counts_every_file_once(tmp_path: Path) -> None:
    assert rows(Configured())["hub cache"].found == f"{tmp_path}/cache, empty"
    blob = tmp_path / "cache" / "models--org--eight" / "blobs" / "1"
    blob.parent.mkdir(parents=True)
    with blob.open("wb") as file:
        file.truncate(3_000_000_000)
    (tmp_path / "cache" / "models--org--eight" / "hard").hardlink_to(blob)
    (tmp_path / "cache" / "models--org--eight" / "soft").symlink_to(blob)
    assert rows(Configured())["hub cache"].found == f"{tmp_path}/cache, 3.0 GB"
