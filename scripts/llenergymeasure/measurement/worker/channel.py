"""Messages between manager and worker: JSON over a pair of connected sockets of our own.

Standard output stays free for whatever the libraries print; it goes to the log.
"""

from __future__ import annotations

import json
from multiprocessing.connection import Connection
from typing import Any

WORKER_DESCRIPTOR = "LLENERGYMEASURE_WORKER_FD"


def send(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(message, allow_nan=False).encode("utf-8"))


def receive(connection: Connection) -> dict[str, Any]:
    """The next message. Raises EOFError when the other side is gone."""
    message: dict[str, Any] = json.loads(connection.recv_bytes())
    return message
