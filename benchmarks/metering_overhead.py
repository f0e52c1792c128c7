"""Claim: sampling and watching make a busy process at most 1 % slower.

A fixed amount of processor-bound Python work runs inside a window of the meters and outside of any, alternated in pairs
with the order swapped each time; two simulated boards, the default power interval, the real binding and thread. Only
the work is timed: opening and closing a window wait for ticks by intent. Python work is the hardest case: it and the
sampler want the same lock. The figure is the median of the pairwise ratios, with a bootstrap interval; work is short
and there are many pairs, because what comes and goes on a shared machine is longer than a pair. Beside it the processor
time that all other threads of the process took while the work ran, which other programs do not disturb.
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

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

LIMIT = 1.01
PAIRS = 250
WORK_S = 0.12


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
        }
        command = [sys.executable, "-m", "benchmarks.metering_overhead"]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    ratios, samples, share = json.loads(done.stdout)
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(2000))
    median = statistics.median(ratios)
    print(
        f"metering_overhead: work with meters / without = {median:.4f} (95 % interval of the median "
        f"{medians[50]:.4f} to {medians[1949]:.4f}, {len(ratios)} alternated pairs, {samples} samples, limit {LIMIT}); "
        f"other threads took {share:.2%} of a core meanwhile"
    )
    return median <= LIMIT and samples > 0


def _measure() -> None:
    """Print as JSON the ratios, the number of samples, and the other threads' processor time over that of the work."""
    from llenergymeasure.config import EnergyConfig
    from llenergymeasure.energy import open_meters

    meters = open_meters(EnergyConfig.model_construct(meters=["nvml"]))
    rounds = _rounds_of(WORK_S)
    _work(rounds)
    ratios, samples, others_s, work_s = [], 0, 0.0, 0.0
    for pair in range(PAIRS):
        seconds: dict[bool, float] = {}
        for metered in (True, False) if pair % 2 else (False, True):
            if metered:
                with meters.window("generate", lambda: None):
                    process_s, thread_s = time.process_time(), time.thread_time()
                    seconds[metered] = _work(rounds)
                    own_s = time.thread_time() - thread_s
                    others_s += time.process_time() - process_s - own_s
                    work_s += own_s
            else:
                seconds[metered] = _work(rounds)
        ratios.append(seconds[True] / seconds[False])
        samples += len(meters.trace())
    meters.close()
    print(json.dumps([ratios, samples, others_s / work_s]))


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
