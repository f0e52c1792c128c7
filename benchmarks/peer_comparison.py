"""Claims: the same eight experiments take at most 0.4 times as long as with optimum-benchmark and its process
isolation, and the tokens/s of the same calls are not below those of its inline launcher.

Both get the same folder with SmolLM2-135M-Instruct in float32, random prompts of the same length, the same number of
tokens to generate greedily, two attention kernels (two setups) and the same four batch sizes. Both generate inside
`torch.inference_mode()`, as optimum-benchmark always does, leave the number of threads to torch, and record latency,
memory and energy (codecarbon) of every experiment.

Wall time: `snakemake --cores 2` in an empty folder, from validation to the report, against one process of
optimum-benchmark that hands the experiments to its process launcher one by one. Ours goes first in each pair, because
its calibration decides how many calls a window holds; optimum-benchmark is then asked for exactly as many. It makes
them twice, once for latency and once for energy, and once more for memory; ours makes them once and warms up for the
calibration and again for the measurement.

Tokens/s: both tools run one experiment after the other, in turn, in processes that have started already and with no
other load. The figure is output tokens over the seconds of the `generate` calls, by each tool's own time stamps:
optimum-benchmark's throughput of `generate` divides the decoded tokens and calls them samples, and its list of
per-token times is never cleared.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from benchmarks.optimum_environment import Driver, driver, environment, versions
from benchmarks.small_model import ROOT, small_model

WALL_LIMIT, SPEED_LIMIT = 0.4, 1.0
PAIRS, ROUNDS, CALLS = 2, 3, 5
KERNELS, BATCH_SIZES = ("sdpa", "eager"), (1, 2, 4, 8)
PROMPT_TOKENS, NEW_TOKENS = 16, 8
WINDOW_S = 1.0
GREEDY = """
import sys
import torch, transformers
transformers.utils.logging.disable_progress_bar()
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
ids = transformers.AutoTokenizer.from_pretrained(sys.argv[1])("The capital of France is", return_tensors="pt").input_ids
print(ids.tolist(), model.generate(ids, max_new_tokens=8, do_sample=False).tolist(), torch.get_num_threads())
"""


def main() -> bool:
    python, model = environment(), small_model()
    outputs = {name: _greedy(binary, model) for name, binary in (("ours", Path(sys.executable)), ("theirs", python))}
    if outputs["ours"] != outputs["theirs"]:
        raise SystemExit(f"the two environments generate different outputs with the same model: {outputs}")
    threads = outputs["ours"].rsplit(" ", 1)[1]
    print(
        f"peer_comparison: llenergymeasure on {versions(Path(sys.executable))}, beside {versions(python)}; "
        f"SmolLM2-135M float32, {' and '.join(KERNELS)} x batches of {', '.join(map(str, BATCH_SIZES))}, "
        f"{PROMPT_TOKENS} -> {NEW_TOKENS} tokens, {threads} threads, codecarbon on both sides; same tokens from both",
        flush=True,
    )
    return all([_wall_time(python, model), _speed(python, model)])


def _wall_time(python: Path, model: Path) -> bool:
    ratios = []
    for pair in range(1, PAIRS + 1):
        with tempfile.TemporaryDirectory() as folder:
            ours_s, calls = _pipeline(model, Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            theirs_s = _optimum(python, model, Path(folder), calls)
        ratios.append(ours_s / theirs_s)
        made = ", ".join(str(count) for count in calls.values())
        print(
            f"  pair {pair}: {ours_s:.1f} s / {theirs_s:.1f} s = {ratios[-1]:.2f} ({made} measured calls)", flush=True
        )
    ratio = statistics.median(ratios)
    print(
        f"  wall time of 8 experiments on 2 setups: pipeline / optimum-benchmark's process launcher = {ratio:.2f} "
        f"(median of {PAIRS} pairs, limit {WALL_LIMIT})",
        flush=True,
    )
    return ratio <= WALL_LIMIT


def _pipeline(model: Path, folder: Path) -> tuple[float, dict[tuple[str, int], int]]:
    """Seconds the study took, and how many calls each experiment measured."""
    study = {
        "study": "peer",
        "experiments": [_experiment(model, kernel, size) for kernel, size in _settings()],
        "measurement": {"replicates": 1, "min_window_s": WINDOW_S},
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--configfile", str(path)], cwd=folder, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise RuntimeError(done.stderr + done.stdout)
    records = [
        json.loads(line)
        for lines in folder.glob("results/peer/sessions/*/1/measurements.jsonl")
        for line in lines.read_text(encoding="utf-8").splitlines()
    ]
    calls = {
        (record["config"]["pytorch"]["attn_implementation"], record["config"]["pytorch"]["batch_size"]): record[
            "calibration"
        ]["measured_passes"]
        for record in records
        if record["status"] == "ok"
    }
    if set(calls) != set(_settings()):
        raise RuntimeError(f"not every experiment was measured: {records}")
    return seconds, {setting: calls[setting] for setting in _settings()}


def _optimum(python: Path, model: Path, folder: Path, calls: dict[tuple[str, int], int]) -> float:
    start = time.perf_counter()
    with driver(python, "process", folder) as peer:
        for (kernel, size), count in calls.items():
            peer.run({**_peer_experiment(model, kernel, size, count), "everything": True})
    return time.perf_counter() - start


def _speed(python: Path, model: Path) -> bool:
    """Tokens/s of ours over theirs, in turn."""
    logs: list[float] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        peer = stack.enter_context(driver(python, "inline", folder))
        ours = _Ours(model, folder, stack)
        for kernel, size in _settings():
            speeds: dict[str, list[float]] = {"ours": [], "theirs": []}
            for turn in range(ROUNDS):
                for who in ("ours", "theirs") if turn % 2 else ("theirs", "ours"):
                    seconds = ours.run(kernel, size) if who == "ours" else _theirs(peer, model, kernel, size)
                    speeds[who].append(size * NEW_TOKENS * len(seconds) / math.fsum(seconds))
            logs += [math.log(one / other) for one, other in zip(speeds["ours"], speeds["theirs"], strict=True)]
            medians = {who: statistics.median(values) for who, values in speeds.items()}
            print(
                f"  {kernel}, batches of {size}: {medians['ours']:.1f} tokens/s, "
                f"optimum-benchmark inline {medians['theirs']:.1f}",
                flush=True,
            )
    ratio, low, high = _geometric(logs)
    print(
        f"  tokens/s of the same calls: ours / optimum-benchmark's inline launcher = {ratio:.3f} "
        f"(geometric mean, 95 % interval {low:.3f} to {high:.3f}, {len(logs)} alternated pairs, limit {SPEED_LIMIT})",
        flush=True,
    )
    return high >= SPEED_LIMIT


class _Ours:
    """Workers with the model loaded, one per kernel, and the calibration of each setting."""

    def __init__(self, model: Path, folder: Path, stack: ExitStack) -> None:
        from llenergymeasure.config import ExperimentConfig
        from llenergymeasure.measurement.worker.manager import LoadOrder, Manager

        self._managers: dict[str, Manager] = {}
        self._configs: dict[tuple[str, int], dict[str, Any]] = {}
        self._calibrations: dict[tuple[str, int], dict[str, Any]] = {}
        for kernel, size in _settings():
            config = ExperimentConfig.model_validate(_experiment(model, kernel, size))
            self._configs[kernel, size] = config.model_dump(mode="json")
        for kernel in KERNELS:
            order = LoadOrder(self._configs[kernel, 1], {"model": model}, None, timeout_s=600)
            self._managers[kernel] = stack.enter_context(Manager(order, folder / f"{kernel}.log"))
            self._managers[kernel].load()

    def run(self, kernel: str, size: int) -> list[float]:
        """Seconds of each measured call."""
        key = (kernel, size)
        ask, config = self._managers[kernel].ask, self._configs[key]
        if key not in self._calibrations:
            wanted = {"do": "warmup", "config": config, "min_window_s": 0.001, "energy_resolution": 0.4}
            self._calibrations[key] = {**ask(wanted), "measured_passes": CALLS}
        nothing = {"experiment_id": "", "outputs": []}
        wanted = {"do": "measure", "config": config, "calibration": self._calibrations[key], "reference": nothing}
        # A pass is one call here, and every request of it took as long as the call.
        passes = {row["pass_index"]: row["e2e_latency_s"] for row in ask(wanted)["requests"]}
        return list(passes.values())


def _theirs(peer: Driver, model: Path, kernel: str, size: int) -> list[float]:
    seconds: list[float] = peer.run({**_peer_experiment(model, kernel, size, CALLS), "everything": False})["generate_s"]
    return seconds


def _settings() -> list[tuple[str, int]]:
    return list(itertools.product(KERNELS, BATCH_SIZES))


def _experiment(model: Path, kernel: str, size: int) -> dict[str, Any]:
    """One pass is one call of `generate`."""
    return {
        "model": str(model),
        "precision": "fp32",
        "n_prompts": size,
        "max_input_tokens": PROMPT_TOKENS,
        "max_output_tokens": NEW_TOKENS,
        "decoder": {"preset": "deterministic"},
        "dataset": {"source": "synthetic", "tokens": PROMPT_TOKENS},
        "pytorch": {"attn_implementation": kernel, "batch_size": size, "inference_mode": True},
        "warmup": {"passes": 2},
        "baseline": {"duration_s": 0.25},
    }


def _peer_experiment(model: Path, kernel: str, size: int, calls: int) -> dict[str, Any]:
    return {
        "model": str(model),
        "attn_implementation": kernel,
        "batch_size": size,
        "sequence_length": PROMPT_TOKENS,
        "new_tokens": NEW_TOKENS,
        "calls": calls,
    }


def _greedy(python: Path, model: Path) -> str:
    done = subprocess.run(
        [str(python), "-c", GREEDY, str(model)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout.strip()


def _geometric(logs: Sequence[float]) -> tuple[float, float, float]:
    """Geometric mean and Student's 95 % interval, from logarithms."""
    from scipy.stats import t

    mean = statistics.fmean(logs)
    half = float(t.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)
