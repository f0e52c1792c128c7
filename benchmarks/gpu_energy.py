"""Claims on a CUDA device: windows on counter ticks repeat better than naive ones, and J/token repeats within 1 %.

Six windows each of 1, 3 and 10 s of one steady load are measured in three ways: our window, the same counter read
without regard for its ticks, and NVML's power polled every 100 ms. For each way the benchmark prints the mean watts by
length, how they vary, and the intercept of energy over length: the time by which its windows are too long or too short.
Then it measures five replicates of an experiment on a random-weight model of a billion parameters.

Takes about 10 minutes: 5 for the windows, 5 for the replicates. Without a CUDA device it claims nothing.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

LENGTHS_S = (1.0, 3.0, 10.0)
WINDOWS = 6
WARM_UP_S = 15.0
POLL_S = 0.1
REPEATABILITY = 0.01
REPLICATES = 5
PIPELINE_S = 720.0
BILLION = (
    "random:llama?hidden_size=2048&intermediate_size=8192&num_hidden_layers=16"
    "&num_attention_heads=32&num_key_value_heads=8&vocab_size=32000&dtype=bfloat16"
)
# A study of it whose energy is the board's counter; tests/gpu measures the same.
DEFAULTS: Mapping[str, Any] = {
    "model": BILLION,
    "precision": "bf16",
    "n_prompts": 8,
    "max_input_tokens": 128,
    "max_output_tokens": 64,
    "pytorch": {"batch_size": 8},
    "warmup": {"passes": 5},
    "baseline": {"duration_s": 3.0},
    "energy": {"meters": ["nvml"]},
}

# Seconds of a window and its joules.
Measured = tuple[float, float]


def main() -> bool:
    import torch

    if not torch.cuda.is_available():
        print("gpu_energy: there is no CUDA device here, so nothing is claimed")
        return True
    return _print_windows() & _repeatability()


def _print_windows() -> bool:
    import pynvml
    import torch

    from llenergymeasure.config import EnergyConfig
    from llenergymeasure.energy import open_meters, primary_energy

    pynvml.nvmlInit()
    meters = open_meters(EnergyConfig(meters=["nvml"]))
    uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    meters.restrict([uuid])
    handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    print(f"gpu_energy: {meters.describe()['devices'][0]}")
    matrix = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)

    def load(seconds: float) -> None:
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s:
            matrix @ matrix
            torch.cuda.synchronize()

    def ours(seconds: float) -> Measured:
        with meters.window("generate", torch.cuda.synchronize) as window:
            load(seconds)
        energy = primary_energy(window.entries, "generate")
        assert energy.energy_j is not None, energy.reason
        for entry in window.entries:
            if entry.cross_check is not None:
                checks.append(entry.cross_check["ratio"])
        return window.duration_s, energy.energy_j

    def unaligned(seconds: float) -> Measured:
        begun_s, before = time.perf_counter(), pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        load(seconds)
        after = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return time.perf_counter() - begun_s, (after - before) / 1e3

    def polled(seconds: float) -> Measured:
        readings: list[float] = []
        done = threading.Event()

        def poll() -> None:
            while not done.wait(POLL_S):
                readings.append(pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3)

        thread = threading.Thread(target=poll)
        thread.start()
        load(seconds)
        done.set()
        thread.join()
        return seconds, statistics.fmean(readings) * seconds

    checks: list[float] = []
    load(WARM_UP_S)
    ways = {"windows on ticks": ours, "counter un-aligned": unaligned, "power polled": polled}
    better = print_table(measure(ways))
    print(f"counter over integrated power: {min(checks):.4f} to {max(checks):.4f} in {len(checks)} windows")
    meters.close()
    return better


def measure(ways: Mapping[str, Callable[[float], Measured]]) -> dict[str, list[list[Measured]]]:
    """Windows by way and length; the ways take turns, so that none has the warmer board."""
    windows: dict[str, list[list[Measured]]] = {name: [[] for _ in LENGTHS_S] for name in ways}
    for place, seconds in enumerate(LENGTHS_S):
        for _ in range(WINDOWS):
            for name, way in ways.items():
                windows[name][place].append(way(seconds))
    return windows


def print_table(by_way: Mapping[str, Sequence[Sequence[Measured]]]) -> bool:
    """Mean watts and their coefficient of variation by length, and the intercept; whether the first way varies less
    than the second at every length."""
    from benchmarks.gpu.probes.window_lengths import fit_line

    spreads = []
    print("mean watts (coefficient of variation) by length; intercept of energy over length ± its standard error")
    for name, by_length in by_way.items():
        watts = [[joules / seconds for seconds, joules in windows] for windows in by_length]
        spreads.append([statistics.stdev(powers) / statistics.fmean(powers) for powers in watts])
        rows: list[dict[str, Any]] = [
            {"seconds": seconds, "joules": joules} for windows in by_length for seconds, joules in windows
        ]
        line = fit_line(rows, drift=False)  # the ways take turns
        cells = [
            f"{length:g} s: {statistics.fmean(powers):.2f} W ({spread:.3%})"
            for length, powers, spread in zip(LENGTHS_S, watts, spreads[-1], strict=True)
        ]
        intercept = f"{line['intercept_s']:+.4f} ± {line['intercept_standard_error_s']:.4f} s"
        print(f"{name:20s} {'   '.join(cells)}   intercept {line['intercept_j']:+.3f} J = {intercept}")
    return all(ours <= naive for ours, naive in zip(spreads[0], spreads[1], strict=True))


def _repeatability() -> bool:
    sys.path.insert(0, str(ROOT / "tests"))
    from harness import Pipeline, study

    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline(Path(folder))
        pipeline.write(study(defaults=DEFAULTS, measurement={"replicates": REPLICATES, "min_window_s": 10.0}))
        done = pipeline.snakemake(timeout_s=PIPELINE_S)
        assert done.returncode == 0, done.output
        records = pipeline.records()
    joules = [record["metrics"]["energy_per_output_token_j"] for record in records]
    spread = statistics.stdev(joules) / statistics.fmean(joules)
    print({name: value for name, value in records[0]["metrics"].items() if name.endswith("_j")}, records[0]["phases"])
    print(f"J/output token over {REPLICATES} replicates: CV {spread:.3%} (limit {REPEATABILITY:.0%})")
    return spread <= REPEATABILITY
