"""Claims: the same eight experiments take at most 0.4 times as long as with optimum-benchmark and its process
isolation, and the tokens/s of the same calls are not below those of its inline launcher. Printed beside them: what the
same experiments cost with the tools that a user would pick today.

Peers, each in an environment of its own (benchmarks/peers/): a bare script that calls `generate`; the same script in a
window of Zeus's monitor, over two simulated boards, because on a machine without a GPU the monitor reads nothing; the
llenergymeasure on PyPI (another project of this name), whose command refuses a machine without CUDA: its harness is
called past that check, without its pause of at least 30 s per experiment and without its baseline; optimum-benchmark. A
peer that does not run is one line with its reason, and counts as neither better nor worse.

All get the same folder with a model in float32, the same number of prompt tokens and of tokens to generate greedily,
two attention kernels (two setups) and the same four batch sizes. All generate inside `torch.inference_mode()`, on
one thread. The prompts are the same texts, but optimum-benchmark draws random ids. Ours,
optimum-benchmark and the harness estimate energy with codecarbon.

Whole studies: `snakemake --cores 2` in an empty folder, from validation to the report, against a process per
experiment, from its start to its answer. Ours goes first, because its calibration decides how many calls a window
holds; the peers are then asked for exactly as many. optimum-benchmark makes them twice, once for latency and once for
energy, and once more for memory. Memory is that of the largest process of the whole study.

The same calls: all tools run one experiment after the other, in turn, in processes that have started already. The
figure is the seconds of the `generate` calls, by each tool's own time stamps: optimum-benchmark's throughput of
`generate` divides the decoded tokens and calls them samples, and its list of per-token times is never cleared.
"""

from __future__ import annotations

import itertools
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.peers.boards import simulated_boards
from benchmarks.peers.environment import OPTIMUM_BENCHMARK, ORIGINAL, ZEUS, PeerUnavailable, versions
from benchmarks.peers.experiments import NEW_TOKENS, PROMPT_TOKENS, SETTINGS, THREADS
from benchmarks.peers.inline import BARE, OPTIMUM, OURS, tools
from benchmarks.peers.studies import Cost, peer_studies, run_ours, why_refused, zeus_without_boards
from benchmarks.small_model import small_model, tiny_model

WALL_LIMIT, SPEED_LIMIT = 0.4, 1.0
PAIRS, ROUNDS, CALLS = 2, 3, 5
GREEDY = """
import sys
import torch, transformers
transformers.utils.logging.disable_progress_bar()
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
ids = transformers.AutoTokenizer.from_pretrained(sys.argv[1])("The capital of France is", return_tensors="pt").input_ids
print(ids.tolist(), model.generate(ids, max_new_tokens=8, do_sample=False).tolist())
"""


def main() -> bool:
    # All on the processor: where there is a GPU, some would take it and others not.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    models = {"SmolLM2-135M": small_model(), "a tiny Llama": tiny_model()}
    _describe(models["SmolLM2-135M"])
    with simulated_boards() as boards:
        results = [_wall_time(models["SmolLM2-135M"], boards)]
        results += [_speed(name, model, boards) for name, model in models.items()]
    return all(results)


def _describe(model: Path) -> None:
    """What runs beside what, and that all generate the same tokens.

    Raises:
        SystemExit: the environments generate different tokens with the same model.
    """
    outputs = {"this project": _greedy(Path(sys.executable), model)}
    beside = []
    for peer in (ZEUS, ORIGINAL, OPTIMUM_BENCHMARK):
        try:
            python = peer.python()
        except PeerUnavailable:
            continue
        outputs[peer.package] = _greedy(python, model)
        beside.append(versions(python, peer.package))
    if len(set(outputs.values())) > 1:
        raise SystemExit(f"the environments generate different outputs with the same model: {outputs}")
    refused = why_refused(model)
    command = "runs here" if refused is None else f"does not run here: {refused}"
    kernels, sizes = (list(dict.fromkeys(values)) for values in zip(*SETTINGS, strict=True))
    print(
        f"peer_comparison: llenergymeasure on {versions(Path(sys.executable))}, beside {'; '.join(beside)}; "
        f"float32, {' and '.join(kernels)} x batches of {', '.join(map(str, sizes))}, {PROMPT_TOKENS} -> {NEW_TOKENS} "
        f"tokens, {THREADS} thread, the same tokens from all; load of the "
        f"machine {os.getloadavg()[0]:.1f} at the start\n"
        f"  `llem run` of llenergymeasure on PyPI {command}\n"
        f"  Zeus's monitor on this machine, without simulated boards: {zeus_without_boards(model)}",
        flush=True,
    )


def _wall_time(model: Path, boards: Mapping[str, str]) -> bool:
    """Whether the study takes at most the limit against optimum-benchmark's; False where that does not run."""
    studies = peer_studies(model, boards)
    ratios: dict[str, list[float]] = {name: [] for name in studies}
    for pair in range(1, PAIRS + 1):
        ours, calls = run_ours(model)
        print(f"  study {pair}: measured calls {', '.join(map(str, calls.values()))}", flush=True)
        _print_cost(OURS, ours, ours)
        for name in list(ratios):
            try:
                cost = studies[name](calls)
            except PeerUnavailable as reason:
                print(f"    does not run here: {name}: {reason}", flush=True)
                del ratios[name]
                continue
            ratios[name].append(ours.seconds / cost.seconds)
            _print_cost(name, cost, ours)
    if OPTIMUM not in ratios:
        print("  wall time: not shown, optimum-benchmark does not run here", flush=True)
        return False
    ratio = statistics.median(ratios[OPTIMUM])
    print(
        f"  wall time of 8 experiments on 2 setups: pipeline / optimum-benchmark's process launcher = {ratio:.2f} "
        f"(median of {PAIRS} pairs, limit {WALL_LIMIT})",
        flush=True,
    )
    return ratio <= WALL_LIMIT


def _print_cost(name: str, cost: Cost, ours: Cost) -> None:
    compared = "" if cost is ours else f"; ours / this: {ours.seconds / cost.seconds:.2f} in all, "
    if compared:
        compared += f"{ours.fixed_s / cost.fixed_s:.2f} of what is fixed, "
        compared += f"{ours.largest_process_mib / cost.largest_process_mib:.2f} of memory"
    print(
        f"    {name}: {cost.seconds:.1f} s, {cost.fixed_s:.2f} s per experiment beyond its measured calls, largest "
        f"process {cost.largest_process_mib:.0f} MiB{compared}; energy of the last: {cost.answers[-1].energy}",
        flush=True,
    )


def _speed(name: str, model: Path, boards: Mapping[str, str]) -> bool:
    """Whether tokens/s of ours over optimum-benchmark's reach the limit; each against the bare script is printed."""
    logs: dict[str, list[float]] = {}
    with tools(model, boards) as (runs, refused):
        print(f"  the same calls of {name}, in processes that have started, {ROUNDS} rounds in turn:", flush=True)
        for peer, reason in refused.items():
            print(f"    does not run here: {peer}: {reason}", flush=True)
        for setting, turn in itertools.product(SETTINGS, range(ROUNDS)):
            names = list(runs)
            first = turn % len(names)
            for peer in names[first:] + names[:first]:
                try:
                    logs.setdefault(peer, []).append(math.log(runs[peer](setting, CALLS).generate_s))
                except PeerUnavailable as reason:
                    print(f"    stopped: {peer}: {reason}", flush=True)
                    refused[peer] = str(reason)
                    del runs[peer]
    for peer in runs:
        if peer != BARE and BARE in runs:
            print(f"    seconds, {peer} / {BARE} = {_ratio(logs[peer], logs[BARE])}", flush=True)
    if OPTIMUM not in runs:
        print(f"    tokens/s against optimum-benchmark: not shown, {refused[OPTIMUM]}", flush=True)
        return False
    ratio, low, high = _geometric(logs[OPTIMUM], logs[OURS])
    print(
        f"    tokens/s, ours / optimum-benchmark's inline launcher = {ratio:.3f} (geometric mean, 95 % interval "
        f"{low:.3f} to {high:.3f}, {len(logs[OURS])} rounds, limit {SPEED_LIMIT})",
        flush=True,
    )
    return high >= SPEED_LIMIT


def _ratio(ones: Sequence[float], others: Sequence[float]) -> str:
    ratio, low, high = _geometric(ones, others)
    return f"{ratio:.3f} (95 % interval {low:.3f} to {high:.3f})"


def _geometric(ones: Sequence[float], others: Sequence[float]) -> tuple[float, float, float]:
    """Geometric mean of the ratios and Student's 95 % interval, from logarithms in pairs."""
    from scipy.stats import t

    logs = [one - other for one, other in zip(ones, others, strict=True)]
    mean = statistics.fmean(logs)
    half = float(t.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def _greedy(python: Path, model: Path) -> str:
    done = subprocess.run(
        [str(python), "-I", "-c", GREEDY, str(model)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout.strip()
