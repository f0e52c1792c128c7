"""Windows over random power traces through the real meter, binding and threads, on a virtual clock.

    python accuracy.py FOLDER '{"seeds": [0, 1], "period_s": 0.1, ...}'

with the compiled simulated library in FOLDER; prints a list of `Row`s as JSON. See `measure_all` for the orders.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "scripts"), str(HERE.parent)]

import numpy as np  # noqa: E402
from energy.part_time_sensor import loop  # noqa: E402
from energy.power_traces import AFTERWARDS_S, HISTORY_S, Trace, draw_trace  # noqa: E402
from energy.virtual_clock import VirtualClock  # noqa: E402

POLL_S = 0.1  # of plain power polling
GAIN = 0.05
CORNER_S = 1e-6
SLEEP = ctypes.CFUNCTYPE(None, ctypes.c_double)
WAYS = ("counter", "average", "instant")  # with a counter; without one, with a 1 s average or an instant reading


@dataclass(frozen=True)
class Row:
    """One window: joules; `gain` is what the board's sensor made of one joule. Naive ways are None for boards without
    counter; `ratio` is that of the cross-check."""

    seed: int
    period_s: float
    latency_s: float
    lag_s: float
    way: str
    gain: float
    duration_s: float
    truth_j: float
    energy_j: float | None
    reason: str | None
    standard_without_gain_j: float
    expanded_without_gain_j: float
    expanded_j: float
    cross_check: dict[str, Any] | None
    findings: list[str]
    pieces_j: float
    polled_j: float | None = None
    differenced_j: float | None = None


def measure_all(
    folder: Path,
    seeds: Sequence[int],
    periods_s: Sequence[float],
    ways: Sequence[str] = WAYS,
    jobs: int = 2,
    **more: Any,
) -> list[Row]:
    """Rows of all seeds, each in every update period and way, from `jobs` processes of their own."""
    orders = [
        {"seeds": list(seeds[job::jobs]), "period_s": period_s, "way": way, "many": max(seeds) + 1, **more}
        for period_s in periods_s
        for way in ways
        for job in range(jobs)
    ]
    with ThreadPoolExecutor(jobs) as pool:
        return [row for rows in pool.map(lambda order: _in_process(folder, order), orders) for row in rows]


def _in_process(folder: Path, order: dict[str, Any]) -> list[Row]:
    command = [sys.executable, str(HERE / "accuracy.py"), str(folder), json.dumps(order)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return [Row(**row) for row in json.loads(done.stdout)]


class Machine:
    """One simulated board on a virtual clock, and the meters on it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.library = ctypes.CDLL(str(folder / "libnvidia-ml.so.1"))
        self.library.sim_set_time.argtypes = [ctypes.c_double]
        self.clock = VirtualClock(1000.0, self.library.sim_set_time)
        self._sleep = SLEEP(self.clock.sleep)
        self.library.sim_set_sleep(self._sleep)
        self.configure(**settings)

    def configure(self, **settings: str) -> None:
        os.environ.update({f"SIM_NVML_{name.upper()}": value for name, value in settings.items()})
        self.library.sim_restart()

    def draw_power(self, trace: Trace, start_s: float) -> None:
        """From now on the board follows the trace, whose window starts at `start_s`."""
        array = ctypes.c_double * len(trace.points)
        times_s, watts = zip(*trace.points, strict=True)
        self.library.sim_set_trace(0, len(watts), array(*(start_s + t for t in times_s)), array(*watts))

    def settle(self, trace: Trace, phase_s: float) -> None:
        """Live through the trace's history up to `phase_s` seconds before it ends."""
        self.draw_power(trace, self.clock.now_s() + HISTORY_S)
        self.library.sim_restart()
        self.clock.sleep(HISTORY_S - phase_s)


def run(folder: Path, order: dict[str, Any]) -> list[Row]:
    """One row per seed, all on one simulated machine."""
    machine = _machine(folder, order)
    return [_measure(machine, order, seed) for seed in order["seeds"]]


def _machine(folder: Path, order: dict[str, Any]) -> Machine:
    way = order["way"]
    return Machine(
        folder,
        power_w="100",
        names="NVIDIA H100 80GB HBM3",
        architecture="9",
        period_s=str(order["period_s"]),
        duty=str(order.get("duty", 0.25)),
        seen_at=str(order.get("seen_at", 0.0)),
        jitter=str(order.get("jitter", 0.0)),
        noise=str(order.get("noise", 0.01)),
        averaging_s="1",
        no_counter="0" if way == "counter" else "1",
        latency_s=str(order.get("latency_s", 0.0)),
        lag_s=str(order.get("lag_s", 0.0)),
        idle_w=str(order.get("idle_w", 0.0)),
        idle_skip=str(order.get("idle_skip", 1.0)),
        power_gaps=str(order.get("power_gaps", 0.0)),
        fields=order.get("fields", "instant+average" if way == "instant" else ""),
    )


def _measure(machine: Machine, order: dict[str, Any], seed: int) -> Row:
    """One window over the seed's trace, with the seed's gain."""
    from llenergymeasure.energy.uncertainty import expanded, standard

    gain = _gain(seed, order["many"])
    machine.configure(gain=f"{gain:.6f}", seed=str(seed))
    trace, window = _window(machine, order, seed)
    entry = window.entries[0]
    # Plain ways have no work around their windows.
    plain = draw_trace(seed, order.get("duration_s"))
    compare = order.get("naive") and order["way"] == "counter"
    polled_j, differenced_j = _naive(machine, plain, seed) if compare else (None, None)
    own = [component for component in entry.components if component.kind != "gain"]
    return Row(
        seed=seed,
        period_s=order["period_s"],
        latency_s=order.get("latency_s", 0.0),
        lag_s=order.get("lag_s", 0.0),
        way=order["way"],
        gain=gain,
        duration_s=trace.duration_s,
        truth_j=trace.energy_j(),
        energy_j=entry.energy_j,
        reason=entry.reason,
        standard_without_gain_j=standard(own),
        expanded_without_gain_j=expanded(own),
        expanded_j=entry.expanded_uncertainty_j or 0.0,
        cross_check=None if entry.cross_check is None else dict(entry.cross_check),
        findings=[finding.code for finding in window.findings],
        pieces_j=sum(piece.energy_j for piece in window.intervals),
        polled_j=polled_j,
        differenced_j=differenced_j,
    )


def _gain(seed: int, many: int) -> float:
    """Spread evenly over ±5 % and dealt out in random order, so that the coverage does not depend on luck."""
    places = random.Random(1).sample(range(many), many)
    return 1 + GAIN * (2 * (places[seed] + 0.5) / many - 1)


def _window(machine: Machine, order: dict[str, Any], seed: int) -> tuple[Trace, Any]:
    """The seed's trace, and the window that the meter measured over it."""
    from llenergymeasure.energy.meter import MeterContext
    from llenergymeasure.energy.meter_set import MeterSet
    from llenergymeasure.energy.meters.nvml.opening import open_nvml
    from llenergymeasure.energy.warning_log import WarningLog

    clock, warn = machine.clock, WarningLog()
    meter = open_nvml(MeterContext({}, order.get("power_interval_s", 0.05), clock, frozenset(), warn))
    meters = MeterSet([meter], warn, refused=[], no_meter="", clock=clock)
    around_s = meters.steady_s if order.get("around", True) else 0.0
    trace, steps_s = draw_trace(seed, order.get("duration_s"), around_s), None
    if "loop_jitter" in order:
        trace, steps_s = _loop_trace(seed, order["loop_jitter"], order["duration_s"])
    machine.settle(trace, random.Random(seed).uniform(0.1, 0.3) + around_s)
    with meters.window("generate", lambda: None, work_around(machine, trace, around_s)) as window:
        if not around_s:
            machine.draw_power(trace, window.start_monotonic_s)
        clock.sleep(window.start_monotonic_s + trace.duration_s - clock.now_s())
    meters.close()
    if steps_s is not None:
        from llenergymeasure.energy.integration.step_aliasing import Cycles

        since_s = window.start_monotonic_s + steps_s
        window.know_loops({window.entries[0].device: [Cycles(since_s[:, 0], since_s[:, 1])]})
    return trace, window


def _loop_trace(seed: int, jitter: float, duration_s: float) -> tuple[Trace, Any]:
    """A decode loop of equal steps of 10 to 60 ms, and start and end of each of them in the window."""
    rng = np.random.default_rng(seed)
    load, steps_s = loop(rng, step_s=rng.uniform(0.01, 0.06), jitter=jitter, window_s=duration_s)
    inside = (steps_s[:, 0] >= 0) & (steps_s[:, 1] <= duration_s)
    points = [(-HISTORY_S, float(load.watts[0]))]
    for corner_s, watts in zip(load.corners_s[1:].tolist(), [*load.watts[1:].tolist(), 100.0], strict=True):
        points += [(corner_s, points[-1][1]), (corner_s + CORNER_S, watts)]
    points.append((duration_s + AFTERWARDS_S, points[-1][1]))
    return Trace(points, duration_s), steps_s[inside]


def work_around(machine: Machine, trace: Trace, around_s: float) -> Any:
    """The trace's own work before the start and after the end."""
    from llenergymeasure.energy.meter_set import Around

    def lead() -> None:
        machine.draw_power(trace, machine.clock.now_s() + around_s)
        machine.clock.sleep(around_s)

    return Around(lead, lambda: machine.clock.sleep(around_s)) if around_s else None


def _naive(machine: Machine, trace: Trace, seed: int) -> tuple[float, float]:
    """The same work at another phase of the ticks: plain polling of power, and the plain difference of the counter."""
    import pynvml

    pynvml.nvmlInit()
    handle, clock = pynvml.nvmlDeviceGetHandleByIndex(0), machine.clock
    clock.sleep(random.Random(seed).uniform(0.0, 0.2))
    machine.settle(trace, 0.0)
    start_s, polled_j, last_s = clock.now_s(), 0.0, clock.now_s()
    first_mj = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    while clock.now_s() < start_s + trace.duration_s:
        clock.sleep(min(POLL_S, start_s + trace.duration_s - clock.now_s()))
        polled_j += pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3 * (clock.now_s() - last_s)
        last_s = clock.now_s()
    last_mj = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    pynvml.nvmlShutdown()
    return polled_j, (last_mj - first_mj) / 1e3


if __name__ == "__main__":
    print(json.dumps([asdict(row) for row in run(Path(sys.argv[1]), json.loads(sys.argv[2]))]))
