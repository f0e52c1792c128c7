"""A hub for datasets on loopback."""

from __future__ import annotations

import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class DatasetHub(ThreadingHTTPServer):
    """A hub on loopback with one file, p.jsonl, of the dataset org/set at COMMIT; `asked` are the requests."""

    COMMIT = "a" * 40
    FILE = b'{"text": "one"}\n{"text": "two"}\n'

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _DatasetHubHandler)
        self.asked: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _DatasetHubHandler(BaseHTTPRequestHandler):
    server: DatasetHub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.server.asked.append(self.path)
        where, _, rest = self.path.strip("/").partition("/resolve/")
        commit, _, name = rest.partition("/")
        code = (
            "RepoNotFound"
            if where != "datasets/org/set"
            else "RevisionNotFound"
            if commit != DatasetHub.COMMIT
            else "EntryNotFound"
            if name != "p.jsonl"
            else None
        )
        body = b"" if code else DatasetHub.FILE
        self.send_response(404 if code else 200)
        if code:
            self.send_header("X-Error-Code", code)
        else:
            self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_GET = do_HEAD  # noqa: N815
