"""Claim: sampling and watching make a busy process at most 1 % slower.

A fixed amount of processor-bound Python work, as a host-bound decode loop is, runs inside a window of the meters and
outside of any, alternated in pairs with the order swapped each time; two simulated boards whose driver takes 2 ms a
call, the default power interval, the real binding and sampler process. Only the work is timed, in one window per pair
and after the counters' polling at its start: opening and closing a window take their time by intent. Python work is the
hardest case: a sampler in the same process would want the same lock. The figure is the median of the pairwise ratios,
with a bootstrap interval; work is short and there are many pairs, because what comes and goes on a shared machine is
longer than a pair. Beside it, what other programs do not disturb: the processor time that all other threads of the
process took while the work ran, and that of the sampler's process, which a machine with a core to spare does not feel.
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
    ratios, samples, share, sampler = json.loads(done.stdout)
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(2000))
    median = statistics.median(ratios)
    print(
        f"metering_overhead: work with meters / without = {median:.4f} (95 % interval of the median "
        f"{medians[50]:.4f} to {medians[1949]:.4f}, {len(ratios)} alternated pairs, {samples} samples, limit {LIMIT}); "
        f"calls of {LATENCY_S * 1e3:g} ms; other threads of the process took {share:.2%} of a core meanwhile, the "
        f"sampler's process {sampler:.2%}"
    )
    return median <= LIMIT and samples > 0


def _measure() -> None:
    """Print as JSON the ratios, the number of samples, and the other threads' and the sampler's processor time over
    that of the work."""
    from llenergymeasure.config import EnergyConfig
    from llenergymeasure.energy import open_meters
    from llenergymeasure.energy.sampling_loop import EDGE_S

    meters = open_meters(EnergyConfig.model_construct(meters=["nvml"]))
    rounds = _rounds_of(WORK_S)
    _work(rounds)
    ratios, samples, others_s, work_s, sampler_s = [], 0, 0.0, 0.0, 0.0
    for pair in range(PAIRS):
        seconds: dict[bool, float] = {}
        for metered in (True, False) if pair % 2 else (False, True):
            if metered:
                with meters.window("generate", lambda: None):
                    time.sleep(EDGE_S)
                    process_s, thread_s, children_s = time.process_time(), time.thread_time(), _children_s()
                    seconds[metered] = _work(rounds)
                    own_s = time.thread_time() - thread_s
                    others_s += time.process_time() - process_s - own_s
                    sampler_s += _children_s() - children_s
                    work_s += own_s
            else:
                seconds[metered] = _work(rounds)
        ratios.append(seconds[True] / seconds[False])
        samples += len(meters.trace())
    meters.close()
    print(json.dumps([ratios, samples, others_s / work_s, sampler_s / work_s]))


def _children_s() -> float:
    """Processor time of the processes that this one started and that are alive."""
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children())


def _work(rounds: int) -> float:
    start_s = time.perf_counter()
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return time.perf_counter() - start_s


def _rounds_of(seconds: float) -> int:
    return int(seconds / _work(2_000_000) * 2_000_000)


if __name__ == "__main__":
    _measure()
