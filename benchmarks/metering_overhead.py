"""Claim: sampling and watching make a busy process at most 1 % slower.

A fixed amount of processor-bound Python work, as a host-bound decode loop is, runs inside a window of the meters and
outside of any, alternated in pairs with the order swapped each time; two simulated boards whose driver takes 2 ms per
call, the default power interval, the real binding and sampler process. Only the work is timed, in one window per pair
and after the counters' polling at its start: opening and closing a window take their time by intent. The same work runs
before it, in both cases: a core that slept is slower for its first 25 ms, here by 7 %. Python work is the hardest case:
a sampler in the same process would want the same lock. The figure is the median of the pairwise ratios, with a
bootstrap interval; work is short and there are many pairs, because disturbances of a shared machine last longer than a
pair. Two further figures are independent of other programs. One is the same ratio without the time in which the work
was ready and waited for a core (/proc/thread-self/schedstat): it includes every effect of the sampler except taking the
work's core. The other is the share of a core that the sampler's process took, which costs nothing on a machine with a
core to spare.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

LIMIT = 1.01
PAIRS = 250
WORK_S = 0.12
LATENCY_S = 0.002


def main() -> bool:
    from energy.simulated_gpus import build_driver

    with tempfile.TemporaryDirectory() as name:
        build_driver(Path(name))
        # In a process of its own: the binding loads the library from where the environment says.
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": name,
            "SIM_NVML_POWER_W": "200,300",
            "SIM_NVML_NAMES": "H100,H100",
            "SIM_NVML_LATENCY_S": str(LATENCY_S),
        }
        command = [sys.executable, "-m", "benchmarks.metering_overhead"]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    ratios, alone, samples, sampler = json.loads(done.stdout)
    median, low, high = _interval(ratios)
    without_wait, *bounds = _interval(alone)
    print(
        f"metering_overhead: work with meters / without = {median:.4f} (95 % interval of the median {low:.4f} to "
        f"{high:.4f}, {len(ratios)} alternated pairs, {samples} samples, calls of {LATENCY_S * 1e3:g} ms, "
        f"limit {LIMIT}); without the time waited for a core {without_wait:.4f} ({bounds[0]:.4f} to {bounds[1]:.4f}); "
        f"the sampler's process took {sampler:.2%} of a core meanwhile"
    )
    return median <= LIMIT and samples > 0


def _interval(ratios: list[float]) -> tuple[float, float, float]:
    """The median with the 95 % interval of a bootstrap."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(2000))
    return statistics.median(ratios), medians[50], medians[1949]


def _measure() -> None:
    """Print as JSON the ratios, those without the wait for a core, the number of samples, and the sampler's share."""
    from llenergymeasure.config import EnergyConfig
    from llenergymeasure.energy import open_meters
    from llenergymeasure.energy.sampling.loop import EDGE_S

    meters = open_meters(EnergyConfig.model_construct(meters=["nvml"]))
    rounds = _rounds_for(WORK_S)
    ratios, alone, samples, sampler_s, metered_s = [], [], 0, 0.0, 0.0
    for pair in range(PAIRS):
        seconds: dict[bool, tuple[float, float]] = {}
        for metered in (True, False) if pair % 2 else (False, True):
            with meters.window("generate", lambda: None) if metered else nullcontext():
                _keep_busy(EDGE_S)
                before_s = _sampler_s()
                seconds[metered] = _work(rounds)
                if metered:
                    sampler_s += _sampler_s() - before_s
                    metered_s += seconds[True][0]
        ratios.append(seconds[True][0] / seconds[False][0])
        alone.append(seconds[True][1] / seconds[False][1])
        samples += len(meters.trace())
    meters.close()
    print(json.dumps([ratios, alone, samples, sampler_s / metered_s]))


def _keep_busy(seconds: float) -> None:
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        _work(1000)


def _sampler_s() -> float:
    """Processor time of the processes that this one started and that are alive."""
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children())


def _work(rounds: int) -> tuple[float, float]:
    """Seconds that the work took, and the same without the time in which it was ready and waited for a core."""
    start_s, waited_s = time.perf_counter(), _waited_s()
    total = 0
    for i in range(rounds):
        total += i * i % 7
    seconds = time.perf_counter() - start_s
    return seconds, seconds - (_waited_s() - waited_s)


def _waited_s() -> float:
    return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9


def _rounds_for(seconds: float) -> int:
    return int(seconds / _work(2_000_000)[1] * 2_000_000)


if __name__ == "__main__":
    _measure()
