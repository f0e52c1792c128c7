"""The sampling loop in a process of its own, so that reading the devices takes nothing from the generating process.

    python -m llenergymeasure.energy.sampling.process FILE_DESCRIPTOR MODULE:FUNCTION

The function starts the driver and returns what opens a device by its address. Orders come from stdin, one JSON object
per line: {"do": "start", "devices": {uuid: address}, "interval_s": ...}, {"do": "poll", "until_s": ...} and
{"do": "stop"}. The process writes the readings as JSON lines to the file that it inherits, and says `ready` and `done`
on stdout. It ends with its parent, because then stdin ends. Between windows it sleeps.
"""

from __future__ import annotations

import json
import math
import os
import pkgutil
import select
import signal
import sys
from typing import Any

from llenergymeasure.energy.clock import CLOCK
from llenergymeasure.energy.integration.ticks import CounterReading
from llenergymeasure.energy.sampling.loop import PowerSample, Sampled, SamplingLoop

STDIN = 0
# Each device is read twenty times a second: on a machine without a free core, every instruction here counts.
_ENCODER = json.JSONEncoder(check_circular=False, separators=(",", ":"))


class ParentGone(Exception):
    """Nobody is left to give orders."""


class PipeOrders:
    """Orders from stdin."""

    def __init__(self) -> None:
        self.fast_until_s = math.inf
        self._unread = b""

    def next(self) -> dict[str, Any]:
        """The next order, waited for. Raises ParentGone."""
        while b"\n" not in self._unread:
            self._read()
        line, _, self._unread = self._unread.partition(b"\n")
        order: dict[str, Any] = json.loads(line)
        return order

    def wait(self, seconds: float) -> bool:
        if b"\n" not in self._unread and select.select([STDIN], [], [], seconds)[0]:
            self._read()
        while b"\n" in self._unread:
            order = self.next()
            if order["do"] == "stop":
                return True
            self.fast_until_s = order["until_s"]
        return False

    def _read(self) -> None:
        new = os.read(STDIN, 65536)
        if not new:
            raise ParentGone
        self._unread += new


class FileSink:
    """Readings as lines of a file that the parent reads when the window is over, even if this process has died."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def counted(self, uuid: str, reading: CounterReading) -> None:
        self._write(["counter", uuid, vars(reading)])

    def sampled(self, sample: PowerSample) -> None:
        self._write(["sample", sample.uuid, sample.time_s, vars(sample.reading)])

    def ready(self) -> None:
        say("ready")

    def _write(self, record: list[Any]) -> None:
        os.write(self._descriptor, _ENCODER.encode(record).encode() + b"\n")


def say(word: str) -> None:
    print(word, flush=True)


def serve(descriptor: int, opener: str) -> None:
    """Follow the parent's orders until it is gone."""
    open_device = pkgutil.resolve_name(opener)()
    orders, sink = PipeOrders(), FileSink(descriptor)
    opened: dict[str, Sampled] = {}
    while True:
        order = orders.next()
        if order["do"] != "start":
            continue
        devices = order["devices"]
        for uuid, address in devices.items():
            if uuid not in opened:
                opened[uuid] = open_device(address)
        orders.fast_until_s = math.inf
        SamplingLoop([opened[uuid] for uuid in devices], order["interval_s"], CLOCK, orders, sink).run()
        say("done")


def main() -> None:
    # An interrupt is for the whole group of processes; this one ends with its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        serve(int(sys.argv[1]), sys.argv[2])
    except (ParentGone, BrokenPipeError):
        return
    except Exception as error:  # noqa: BLE001  whatever ends this process, its parent has to report it
        say(f"died {type(error).__name__}: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
