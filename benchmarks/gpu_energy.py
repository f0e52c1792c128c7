"""Claims on a CUDA device: windows on counter ticks repeat better than naive ones, and J/token repeats within 1 %.

Windows of 1, 3, 10 and 30 s of one steady load, ten each, energy over seconds three ways: our window, the same counter
read without regard for its ticks, and NVML's power polled every 100 ms. Then ten replicates of an experiment on a
random-weight model of a billion parameters. Without a device there is nothing to claim.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

LENGTHS_S = (1.0, 3.0, 10.0, 30.0)
WINDOWS = 10
POLL_S = 0.1
REPEATABILITY = 0.01
BILLION = (
    "random:llama?hidden_size=2048&intermediate_size=8192&num_hidden_layers=16"
    "&num_attention_heads=32&num_key_value_heads=8&vocab_size=32000&dtype=bfloat16"
)


def main() -> bool:
    import torch

    if not torch.cuda.is_available():
        print("gpu_energy: no CUDA device here, nothing to claim")
        return True
    return _table_of_windows() & _repeatability()


def _table_of_windows() -> bool:
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

    def ours(seconds: float) -> float:
        with meters.window("generate", torch.cuda.synchronize) as window:
            load(seconds)
        found = primary_energy(window.entries, "generate")
        assert found.energy_j is not None, found.reason
        for entry in window.entries:
            if entry.cross_check is not None:
                checks.append(entry.cross_check["ratio"])
        return found.energy_j / window.duration_s

    def unaligned(seconds: float) -> float:
        begun_s, before = time.perf_counter(), pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        load(seconds)
        after = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return (after - before) / 1e3 / (time.perf_counter() - begun_s)

    def polled(seconds: float) -> float:
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
        return statistics.fmean(readings)

    checks: list[float] = []
    load(20.0)
    better = []
    print("seconds   windows on ticks   counter un-aligned   power polled   (coefficient of variation of watts)")
    for seconds in LENGTHS_S:
        spreads = [_spread(way, seconds) for way in (ours, unaligned, polled)]
        better.append(spreads[0] <= spreads[1])
        print(f"{seconds:7g}   {spreads[0]:16.3%}   {spreads[1]:18.3%}   {spreads[2]:12.3%}")
    print(f"counter over integrated power: {min(checks):.4f} to {max(checks):.4f} in {len(checks)} windows")
    meters.close()
    return better[0]


def _spread(way: Callable[[float], float], seconds: float) -> float:
    powers = [way(seconds) for _ in range(WINDOWS)]
    return statistics.stdev(powers) / statistics.fmean(powers)


def _repeatability() -> bool:
    import tempfile

    sys.path.insert(0, str(ROOT / "tests"))
    from harness import Pipeline, study

    pipeline = Pipeline(Path(tempfile.mkdtemp()))
    defaults = {
        "model": BILLION,
        "precision": "bf16",
        "n": 8,
        "max_input_tokens": 128,
        "max_output_tokens": 64,
        "pytorch": {"batch_size": 8},
        "warmup": {},
        "baseline": {"duration_s": 5.0},
    }
    pipeline.write(study(defaults=defaults, measurement={"replicates": 10, "min_window_s": 10.0}))
    done = pipeline.snakemake()
    assert done.returncode == 0, done.output
    records = pipeline.records()
    joules = [record["metrics"]["energy_per_output_token_j"] for record in records]
    spread = statistics.stdev(joules) / statistics.fmean(joules)
    for record in records[:1]:
        print({name: value for name, value in record["metrics"].items() if name.endswith("_j")}, record["phases"])
    print(f"J/output token over 10 replicates: CV {spread:.3%} (limit {REPEATABILITY:.0%})")
    return spread <= REPEATABILITY
