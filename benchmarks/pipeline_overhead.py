"""Claims: beside loading, warming up and measuring, the pipeline takes at most 0.2 s per experiment; starting a process
takes at most 1.3 times a bare script's import and load; Snakemake and the manager take at most 2 % of a core while a
window is open.

A process: from the manager's start of a worker until the model is loaded and described, with meters open, against a
script that imports torch and transformers and calls `from_pretrained` for the same model and tokenizer; in turn,
the median of the ratios. Idle windows are measurements and are switched off here.

An experiment: in a study that Snakemake runs, the seconds from the start of one experiment's warm-up to the next one's,
by the stamps in the records, without the windows in between and the one pass after the warm-up. The rest is prompts,
evidence, figures, the comparison of outputs, and the record on its way to the manager and to disk. The same is measured
for the calibration: the worker's time to answer without the passes it ran.

The processor: processor seconds of Snakemake and the measuring job's script, read twice per second, over the windows.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from benchmarks.peers.environment import versions
from benchmarks.small_model import ROOT, small_model

sys.path.insert(0, str(ROOT / "scripts"))

from llenergymeasure.records.measurement import MeasurementRecord
from llenergymeasure.results.reading.read import read_lines

EXPERIMENT_LIMIT_S, PROCESS_LIMIT, CPU_LIMIT = 0.2, 1.3, 0.02
PAIRS = 5
BATCH_SIZES = (1, 2, 3, 4, 5, 6)
WINDOW_S = 4.0
WORKER = "llenergymeasure.measurement.worker"
BARE = """
import sys
import torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
transformers.utils.logging.disable_progress_bar()
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32, attn_implementation="sdpa")
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
print("loaded", flush=True)
"""


def main() -> bool:
    model = small_model()
    process, calibrating_s = _process(model)
    measuring_s, cpu = _study(model)
    worst_s = max(calibrating_s, measuring_s)
    print(
        f"pipeline_overhead: SmolLM2-135M float32 on {versions(Path(sys.executable))}\n"
        f"  beside load, warm-up and measured passes {measuring_s:.3f} s per experiment measured and "
        f"{calibrating_s:.3f} s calibrated (means of {len(BATCH_SIZES)}, limit {EXPERIMENT_LIMIT_S} s)\n"
        f"  one process until its model is loaded / a bare script's import and load = {process:.2f} "
        f"(median of {PAIRS} alternated pairs, limit {PROCESS_LIMIT})\n"
        f"  Snakemake and the manager take {cpu.share:.2%} of a core over {cpu.window_s:.0f} s of open windows "
        f"(limit {CPU_LIMIT:.0%}; {cpu.whole_run_s:.1f} s of processor in the whole run)",
        flush=True,
    )
    return worst_s <= EXPERIMENT_LIMIT_S and process <= PROCESS_LIMIT and cpu.share <= CPU_LIMIT


def _process(model: Path) -> tuple[float, float]:
    """Ratio of a worker's start to a bare script's, and the seconds of a calibration beside its passes."""
    from llenergymeasure.measurement.worker.manager import LoadOrder, Manager

    config = _config(model, 1, baseline=False)
    order = LoadOrder(config, {"model": model}, None, timeout_s=600)
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(PAIRS):
            seconds: dict[str, float] = {}
            for who in ("ours", "bare") if pair % 2 else ("bare", "ours"):
                if who == "bare":
                    seconds[who] = _bare_s(model)
                    continue
                with Manager(order, Path(folder, "worker.log")) as manager:
                    manager.load()
                    seconds[who] = manager.startup_s
                    if pair == PAIRS - 1:
                        calibrating_s = _calibrating_s(manager, model)
            ratios.append(seconds["ours"] / seconds["bare"])
            print(f"  a process: {seconds['ours']:.2f} s, a bare script {seconds['bare']:.2f} s", flush=True)
    return statistics.median(ratios), calibrating_s


def _bare_s(model: Path) -> float:
    start = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", BARE, str(model)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as bare:
        assert bare.stdout is not None
        line = bare.stdout.readline()
        seconds = time.monotonic() - start
    if line.strip() != "loaded":
        raise RuntimeError("the bare script did not load the model")
    return seconds


def _calibrating_s(manager: Any, model: Path) -> float:
    beside: list[float] = []
    for size in BATCH_SIZES:
        wanted = {"min_window_s": WINDOW_S, "energy_resolution": 0.01}
        start = time.monotonic()
        warmup = manager.ask({"do": "warmup", "config": _config(model, size, baseline=False), **wanted})
        # Two prefill passes, whose length it takes from the second.
        passes_s = sum(warmup["latencies_s"]) + 2 * warmup["prefill_pass_s"]
        beside.append(time.monotonic() - start - passes_s)
    return statistics.fmean(beside)


@dataclass(frozen=True)
class Share:
    """What Snakemake and the manager take of a core while windows are open, over how many seconds of them."""

    share: float
    window_s: float
    whole_run_s: float


def _study(model: Path) -> tuple[float, Share]:
    """Seconds per experiment beside its windows, and the pipeline's own processor time while a window is open."""
    with tempfile.TemporaryDirectory() as folder:
        study = {
            "study": "overhead",
            "experiments": [_experiment(model, size, baseline=True) for size in BATCH_SIZES],
            "measurement": {"replicates": 1, "min_window_s": WINDOW_S},
        }
        path = Path(folder, "study.yaml")
        path.write_text(yaml.safe_dump(study), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
        command += ["--configfile", str(path)]
        running = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        with running, _sampled(running.pid) as usage:
            _, said = running.communicate()
        if running.returncode != 0:
            raise RuntimeError(said)
        paths = list(Path(folder).glob("results/overhead/sessions/*/1/measurements.jsonl"))
        records = [record for _, record in read_lines(MeasurementRecord, paths[0], "run again")]
    if failures := [record.failure for record in records if record.failure is not None]:
        raise RuntimeError(f"not every experiment was measured: {failures}")
    windows = _windows(records)
    measured = [(start_s, end_s) for start_s, end_s, phase in windows if phase in ("generate", "prefill")]
    window_s = sum(end_s - start_s for start_s, end_s in measured)
    cpu = Share(usage.seconds_in(measured) / window_s, window_s, usage.used_s[-1])
    return _beside_s(records, windows), cpu


def _beside_s(records: Sequence[MeasurementRecord], windows: Sequence[tuple[float, float, str]]) -> float:
    begins = [start_s for start_s, _, phase in windows if phase == "warmup"]
    gaps = []
    for record, (start_s, next_s) in zip(records[:-1], itertools.pairwise(begins), strict=True):
        inside_s = sum(end_s - begin_s for begin_s, end_s, _ in windows if start_s <= begin_s < next_s)
        assert record.calibration is not None
        gaps.append(next_s - start_s - inside_s - record.calibration.prefill_pass_s)
    return statistics.fmean(gaps)


@dataclass
class Usage:
    """Processor seconds of some processes at moments of the monotonic clock."""

    moments_s: list[float] = field(default_factory=list)
    used_s: list[float] = field(default_factory=list)

    def seconds_in(self, spans: Sequence[tuple[float, float]]) -> float:
        """Processor seconds used in these spans, straight lines between the readings."""
        edges = np.interp(np.array(spans).ravel(), self.moments_s, self.used_s)
        return float(np.diff(edges.reshape(-1, 2)).sum())


@contextmanager
def _sampled(pid: int) -> Iterator[Usage]:
    """Reads what Snakemake and its jobs' scripts have used so far, without the workers."""
    usage, ended = Usage(), threading.Event()
    used: dict[int, float] = {}

    def read() -> None:
        while not ended.wait(0.5):
            try:
                tree = [psutil.Process(pid)]
                while tree:
                    process = tree.pop()
                    if WORKER in process.cmdline():
                        continue
                    times = process.cpu_times()
                    used[process.pid] = times.user + times.system
                    tree += process.children()
            except psutil.NoSuchProcess:
                continue
            usage.moments_s.append(time.perf_counter())
            usage.used_s.append(sum(used.values()))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield usage
    finally:
        ended.set()
        thread.join()


def _windows(records: Sequence[MeasurementRecord]) -> list[tuple[float, float, str]]:
    """Start, end and phase of every window in the records' ledgers, once each."""
    entries = [entry for record in records for entry in record.energy]
    return sorted({(entry.start_monotonic_s, entry.end_monotonic_s, entry.phase) for entry in entries})


def _experiment(model: Path, size: int, *, baseline: bool) -> dict[str, Any]:
    return {
        "model": str(model),
        "precision": "fp32",
        "n_prompts": size,
        "max_input_tokens": 16,
        "max_output_tokens": 8,
        "decoder": {"preset": "deterministic"},
        "dataset": {"source": "synthetic", "tokens": 16},
        "pytorch": {"attn_implementation": "sdpa", "batch_size": size},
        "warmup": {"passes": 2},
        "baseline": {"duration_s": 0.25} if baseline else {"enabled": False},
    }


def _config(model: Path, size: int, *, baseline: bool) -> dict[str, Any]:
    """The experiment as the plan hands it to a worker."""
    from llenergymeasure.config import ExperimentConfig

    config = ExperimentConfig.model_validate(_experiment(model, size, baseline=baseline))
    return config.model_dump(mode="json")
