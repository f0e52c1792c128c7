"""A small model hub on loopback that speaks the real protocol, with the mishaps a real network has.

What huggingface_hub asks: `GET /api/models/<id>/revision/<rev>?blobs=true` for the commit and the files with
size, git blob id and (large files) SHA-256; `GET /api/models/<id>/tree/<rev>` for the same as a list;
`GET|HEAD /<id>/resolve/<rev>/<path>`, answered with the bytes for small files and with a redirect to storage at
another origin for large ones; ranges; errors named in `X-Error-Code`. Data sets lie at `/api/datasets/<id>` and
`/datasets/<id>`; here they are repositories named `datasets/<id>`.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Request:
    """One request as the server saw it, and how many body bytes it sent back."""

    method: str
    path: str
    range: str | None
    authorization: str | None
    sent_bytes: int = 0


@dataclass
class Repository:
    """Branches to commits, commits to files. `large` paths live in storage, as git-lfs files do."""

    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: bool = False
    private: bool = False

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        names = json.dumps({path: hashlib.sha1(data).hexdigest() for path, data in sorted(files.items())})
        commit = hashlib.sha1(names.encode()).hexdigest()
        self.commits[commit] = dict(files)
        self.branches[branch] = commit
        return commit


def is_large(path: str) -> bool:
    return path.endswith((".safetensors", ".bin", ".parquet"))


class HubServer:
    """`with HubServer() as hub:` serves `hub.repositories` at `hub.endpoint`; `hub.requests` is what was asked.

    `cut_after`: storage path -> bytes after which the connection is dropped, until the entry is removed.
    `served`: (repository, path) -> bytes sent in place of the true ones, whatever the listing says.
    `compressed`: paths sent as `Content-Encoding: gzip`. `endless`: paths whose body never ends.
    `stalled`: paths of which nothing arrives while they are in this set.
    `answers`: end of a path -> (status, headers) of the next answers, each used once.
    `tokens`: those that may read gated and private repositories; None: any.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.cut_after: dict[str, int] = {}
        self.served: dict[tuple[str, str], bytes] = {}
        self.compressed: set[str] = set()
        self.endless: set[str] = set()
        self.stalled: set[str] = set()
        self.answers: dict[str, list[tuple[int, dict[str, str]]]] = {}
        self.tokens: set[str] | None = None
        self.cut = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def storage(self) -> str:
        """Another origin, as a content delivery network is."""
        return f"http://localhost:{self._server.server_port}"

    def of(self, suffix: str, method: str = "GET") -> list[Request]:
        return [entry for entry in self.requests if entry.method == method and entry.path.endswith(suffix)]

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection. hub: set by a subclass per server; entry: the request that is being answered"""

    protocol_version = "HTTP/1.1"
    hub: HubServer
    entry: Request

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        self.entry = Request(
            self.command, "/".join(parts), self.headers.get("Range"), self.headers.get("Authorization")
        )
        self.hub.requests.append(self.entry)
        own = 3 if "datasets" in parts[:2] else 2  # parts of a repository's name
        if mishap := next(
            (some for end, some in self.hub.answers.items() if some and self.entry.path.endswith(end)), None
        ):
            self._send(*mishap.pop(0), b"")
        elif self.hub.tokens is not None and self.entry.authorization not in (None, *self.hub.tokens):
            self._error(401, "", "Invalid credentials in Authorization header")
        elif parts[:2] == ["api", "models"] and "tree" in parts:
            self._tree("/".join(parts[2:4]), parts[5])
        elif parts[0] == "api" and parts[1] in ("models", "datasets"):
            name, _, rest = "/".join(parts[4 - own :]).partition("/revision/")
            self._info(name, rest or "main")
        elif parts[0] == "storage":
            self._file("/".join(parts[1 : own + 1]), parts[own + 1], "/".join(parts[own + 2 :]))
        elif len(parts) > own + 2 and parts[own] == "resolve":
            self._resolve("/".join(parts[:own]), parts[own + 1], "/".join(parts[own + 2 :]))
        else:
            self._error(404, "EntryNotFound", "no such page")

    def _find(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit of a revision and its files; None where an error was sent."""
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not self.entry.authorization):
            return self._error(404, "RepoNotFound", "Repository not found")
        if repository.gated and not self.entry.authorization:
            return self._error(401, "GatedRepo", f"Access to model {name} is restricted.")
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            return self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit, repository.commits[commit]

    def _info(self, name: str, revision: str) -> None:
        snapshot = self._find(name, revision)
        if snapshot is None:
            return
        commit, files = snapshot
        siblings = [_sibling(path, data) for path, data in sorted(files.items())]
        body = json.dumps(
            {"_id": "0", "id": name.removeprefix("datasets/"), "sha": commit, "siblings": siblings, "tags": []}
        ).encode()
        self._send(200, {"Content-Type": "application/json"}, body)

    def _tree(self, name: str, revision: str) -> None:
        snapshot = self._find(name, revision)
        if snapshot is None:
            return
        entries = []
        for path, data in sorted(snapshot[1].items()):
            sibling = _sibling(path, data)
            entry = {"type": "file", "path": path, "size": len(data), "oid": sibling["blobId"]}
            if "lfs" in sibling:
                entry["lfs"] = {"oid": sibling["lfs"]["sha256"], "size": len(data), "pointerSize": 134}
            entries.append(entry)
        self._send(200, {"Content-Type": "application/json"}, json.dumps(entries).encode())

    def _resolve(self, name: str, revision: str, path: str) -> None:
        snapshot = self._find(name, revision)
        if snapshot is None:
            return
        commit, files = snapshot
        if path not in files:
            self._error(404, "EntryNotFound", "Entry not found")
        elif is_large(path):
            headers = {
                "Location": f"{self.hub.storage}/storage/{name}/{commit}/{path}",
                "X-Repo-Commit": commit,
                "X-Linked-Etag": f'"{hashlib.sha256(files[path]).hexdigest()}"',
                "X-Linked-Size": str(len(files[path])),
            }
            self._send(302, headers, b"")
        else:
            self._file(name, commit, path)

    def _file(self, name: str, commit: str, path: str) -> None:
        true = self.hub.repositories[name].commits[commit][path]
        data = self.hub.served.get((name, path), true)
        headers = {"ETag": f'"{_blob_id(true)}"', "X-Repo-Commit": commit}
        start, status = 0, 200
        while path in self.hub.stalled and self.command == "GET":
            time.sleep(0.02)
        if path in self.hub.endless and self.command == "GET":
            self._send_without_end(headers)
            return
        if path in self.hub.compressed and self.command == "GET":
            self._send(200, {**headers, "Content-Encoding": "gzip"}, gzip.compress(data))
            return
        if self.entry.range:
            start, status = int(self.entry.range.removeprefix("bytes=").rstrip("-")), 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._send(status, headers, data[start:], cut=self.hub.cut_after.get(path))

    def _send_without_end(self, headers: dict[str, str]) -> None:
        """A body without a length, until the other side closes the connection."""
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            while True:
                self.entry.sent_bytes += self.wfile.write(bytes(1_000_000))

    def _send(self, status: int, headers: dict[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        part = body if cut is None else body[:cut]
        with contextlib.suppress(OSError):  # the other side has had enough
            self.wfile.write(part)
        self.entry.sent_bytes = len(part)
        if cut is not None:
            self.close_connection = True
            self.hub.cut.set()

    def _error(self, status: int, code: str, message: str) -> None:
        self._send(status, {"X-Error-Code": code, "X-Error-Message": message}, b"{}")


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _sibling(path: str, data: bytes) -> dict[str, Any]:
    """A file as the listing of a revision describes it."""
    sibling: dict[str, Any] = {
        "rfilename": path,
        "size": len(data),
        "blobId": _blob_id(data),
    }
    if is_large(path):
        sibling["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return sibling
