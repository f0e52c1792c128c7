"""The generating process's side of the sampler's process: starting it, ordering it, and reading its results."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from llenergymeasure.energy.integration.ticks import CounterReading
from llenergymeasure.energy.sampling.loop import FIRST_TICK_S, PowerReading, PowerSample, Readings, Sampled
from llenergymeasure.processes.package_path import python_path

MODULE = "llenergymeasure.energy.sampling.process"
# From the order to the first reading: the process has to start and to open the boards once.
START_S = 20.0
# The same of a process that has opened them: the longest wait for a first tick, and some calls.
WAKE_S = 4 * FIRST_TICK_S
# A call of the driver that hangs longer than this has stalled the sampler.
STOP_S = 1.0


class Addressed(Sampled, Protocol):
    """A device that another process can open."""

    @property
    def address(self) -> dict[str, Any]:
        """What the other process opens it by, as JSON."""
        ...


class SamplerProcess:
    """A process that sleeps between windows; one that died or hangs is replaced in the next window.

    opener: `module:function`; the process calls the function once, and what that returns for each device's address
    """

    def __init__(self, opener: str, interval_s: float) -> None:
        self._opener = opener
        self._interval_s = interval_s
        self._process: subprocess.Popen[bytes] | None = None
        self._file = -1
        self._said = b""
        self._reading = False
        self._death: str | None = None
        self._warm = False
        self._start()

    @property
    def death(self) -> str | None:
        """Why the process of this window has ended; None while it lives."""
        process = self._process
        if self._death is None and process is not None and process.poll() is not None:
            self._listen("died", 0.0)
            self._death = self._death or f"the sampler's process ended with code {process.returncode}"
        return self._death

    def begin(self, devices: Sequence[Addressed]) -> bool:
        """Read these devices from now on; returns when every counter has ticked or had time to; False: it hangs."""
        if self.death is not None or self._process is None:
            self._end_process()
            self._start()
        self._death, self._reading = None, True
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        addresses = {device.uuid: device.address for device in devices}
        self._order({"do": "start", "devices": addresses, "interval_s": self._interval_s})
        ready = self._listen("ready", WAKE_S if self._warm else START_S)
        self._warm = True
        return ready

    def poll_until(self, time_s: float) -> None:
        self._order({"do": "poll", "until_s": time_s})

    def end(self) -> Readings:
        """Stop reading: what was read since `begin`."""
        if not self._reading:
            return Readings()
        self._reading = False
        self._order({"do": "stop"})
        stopped = self._listen("done", STOP_S)
        readings = _readings_in(self._file)
        if not stopped and self.death is None:
            # It hangs; what it reads later must not be taken for readings of the next window.
            self._end_process()
        return readings

    def close(self) -> None:
        """End the process."""
        self._end_process()

    def _start(self) -> None:
        self._file = os.memfd_create("power-readings")
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(self._file), self._opener],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self._file,),
            env={**os.environ, "PYTHONPATH": python_path(os.environ)},
        )
        self._said, self._warm = b"", False

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            # One that hangs in the driver ends when the driver answers: nobody waits for that.
            process.kill()
        process.stdout.close()
        os.close(self._file)
        self._file = -1

    def _order(self, order: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        # Where the process is gone, `death` says so.
        with suppress(BrokenPipeError):
            os.write(self._process.stdin.fileno(), json.dumps(order).encode() + b"\n")

    def _listen(self, word: str, seconds: float) -> bool:
        """Wait for a line of the process that begins with a word; what it says of its death is kept."""
        process = self._process
        if process is None or process.stdout is None:
            return False
        deadline_s = time.monotonic() + seconds
        while True:
            while b"\n" in self._said:
                line, _, self._said = self._said.partition(b"\n")
                if line.startswith(b"died "):
                    self._death = line.decode()[len("died ") :]
                if line.startswith(word.encode()):
                    return True
            left_s = max(0.0, deadline_s - time.monotonic())
            if not select.select([process.stdout], [], [], left_s)[0]:
                return False
            new = os.read(process.stdout.fileno(), 65536)
            if not new:
                return False
            self._said += new


def _readings_in(descriptor: int) -> Readings:
    readings = Readings()
    text = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    # A process that was killed may have left half a line.
    for line in text.split(b"\n")[:-1]:
        kind, uuid, *rest = json.loads(line)
        if kind == "counter":
            readings.counters[uuid].append(CounterReading(**rest[0]))
        else:
            readings.samples.append(PowerSample(rest[0], uuid, PowerReading(**rest[1])))
    return readings
