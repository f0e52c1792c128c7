"""Claims: the same eight experiments take at most 0.4 times as long as with optimum-benchmark and its process
isolation, and the tokens/s of the same calls are not below those of its inline launcher. Printed beside them: what the
same experiments cost with the tools that a user would pick today. It takes about 20 minutes on a quiet machine.

Peers, each in an environment of its own (benchmarks/peers/): a bare script that calls `generate`; the same script in a
window of Zeus's monitor, over two simulated boards, because on a machine without a GPU the monitor reads nothing; the
llenergymeasure on PyPI (another project of this name), whose command refuses a machine without CUDA: its harness is
called past that check, without its pause of at least 30 s per experiment and without its baseline; optimum-benchmark. A
peer that does not run is one line with its reason, and counts as neither better nor worse.

All get the same folder with a model in float32, the same number of prompt tokens and of tokens to generate greedily,
two attention kernels (two setups) and the same four batch sizes. All generate inside `torch.inference_mode()`, on
one thread, in a process with a session of its own, and without an end token instead of `min_new_tokens`, which costs a
logits processor in every step. The prompts are the same texts, and the scripts' outputs are compared with ours;
optimum-benchmark draws random ids. Ours, optimum-benchmark and the harness estimate energy with codecarbon.

Whole studies: `snakemake --cores 2` in an empty folder, from validation to the report, against a process per
experiment, from its start to its answer. Ours goes first, because its calibration decides how many calls a window
holds; the peers are then asked for exactly as many. optimum-benchmark makes them twice, once for latency and once for
energy, and once more for memory. Memory is that of the largest process of the whole study. One pair of studies decides
where its ratio is far from the limit: pairs on a busy machine were 1.4 times apart. Nearer to it, the median of three
does.

The same calls: all tools run one experiment after the other, in turn, in processes that have started already. The
figure is the seconds of the `generate` calls, by each tool's own time stamps: optimum-benchmark's throughput of
`generate` divides the decoded tokens and calls them samples, and its list of per-token times is never cleared. Rounds
follow until the interval is narrow. One that stays wide shows nothing: the claim then does not hold. The older
transformers that optimum-benchmark needs is a part of the ratio; the bare script runs on it too and shows which part.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.answers import Answer
from benchmarks.peers.boards import simulated_boards
from benchmarks.peers.environment import OPTIMUM_BENCHMARK, ORIGINAL, ZEUS, PeerUnavailable, versions
from benchmarks.peers.experiments import NEW_TOKENS, PROMPT_TOKENS, SETTINGS, THREADS, Setting
from benchmarks.peers.inline import BARE, BARE_OLDER, OPTIMUM, OURS, Run, tools
from benchmarks.peers.studies import Cost, peer_studies, run_ours, why_refused, zeus_without_boards
from benchmarks.small_model import small_model, tiny_model

# Logarithms of seconds, one per round.
Logs = dict[Setting, list[float]]
WALL_LIMIT, SPEED_LIMIT = 0.4, 1.0
# One pair of studies decides where its ratio is below FAR, else the median of MOST_PAIRS.
FAR, MOST_PAIRS = WALL_LIMIT / 1.5, 3
# Rounds until the half width of the interval, relative, is NARROW; above WIDE the claim does not hold.
ROUNDS, MOST_ROUNDS, NARROW, WIDE = 2, 6, 0.02, 0.05
# Model → calls per window, so that a window takes about half a second at least.
CALLS = {"SmolLM2-135M": 2, "a tiny Llama": 20}
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
    ratios: list[float] = []
    while not ratios or (max(ratios) > FAR and len(ratios) < MOST_PAIRS):
        ours, calls = run_ours(model)
        print(f"  study {len(ratios) + 1}: measured calls {', '.join(map(str, calls.values()))}", flush=True)
        _print_cost(OURS, ours, ours)
        for name in list(studies):
            try:
                cost = studies[name](calls)
            except PeerUnavailable as reason:
                print(f"    does not run here: {name}: {reason}", flush=True)
                del studies[name]
                continue
            if name == OPTIMUM:
                ratios.append(ours.seconds / cost.seconds)
            _print_cost(name, cost, ours)
        if OPTIMUM not in studies:
            print("  wall time: not shown, optimum-benchmark does not run here", flush=True)
            return False
    ratio = statistics.median(ratios)
    print(
        f"  wall time of 8 experiments on 2 setups: pipeline / optimum-benchmark's process launcher = {ratio:.2f} "
        f"(median of {len(ratios)}, limit {WALL_LIMIT})",
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
    with tools(model, boards) as (runs, refused):
        for peer, reason in refused.items():
            print(f"    does not run here: {peer}: {reason}", flush=True)
        logs = _rounds(runs, CALLS[name])
    rounds = len(logs[OURS][SETTINGS[0]])
    print(f"  the same {CALLS[name]} calls of {name}, in processes that have started, {rounds} rounds:", flush=True)
    for peer in logs:
        if peer != BARE and BARE in logs:
            print(f"    seconds, {peer} / {BARE} = {compare(logs[peer], logs[BARE])}", flush=True)
    if OPTIMUM not in logs:
        print("    tokens/s against optimum-benchmark: not shown, it does not run here", flush=True)
        return False
    if BARE_OLDER in logs:
        print(f"    seconds, {OPTIMUM} / {BARE_OLDER} = {compare(logs[OPTIMUM], logs[BARE_OLDER])}", flush=True)
    ratio = compare(logs[OPTIMUM], logs[OURS])
    print(
        f"    tokens/s, ours / optimum-benchmark's inline launcher = {ratio} (limit {SPEED_LIMIT}, half width at most "
        f"{WIDE:.0%}); load of the machine {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return ratio.high >= SPEED_LIMIT and ratio.half_width <= WIDE


def _rounds(runs: dict[str, Run], calls: int) -> dict[str, Logs]:
    """Logarithms of the seconds, by tool, setting and round. A tool that stops is taken out of `runs` and the answer.

    Raises:
        SystemExit: two tools put out different tokens for the same prompts.
    """
    logs: dict[str, Logs] = {peer: {setting: [] for setting in SETTINGS} for peer in runs}
    for turn in range(MOST_ROUNDS):
        for setting in SETTINGS:
            names = list(runs)
            first = turn % len(names)
            answers: dict[str, Answer] = {}
            for peer in names[first:] + names[:first]:
                try:
                    answers[peer] = runs[peer](setting, calls)
                except PeerUnavailable as reason:
                    print(f"    stopped: {peer}: {reason}", flush=True)
                    del runs[peer], logs[peer]
                    continue
                logs[peer][setting].append(math.log(answers[peer].generate_s))
            _require_same_outputs(setting, answers)
        if turn + 1 >= ROUNDS and (OPTIMUM not in logs or compare(logs[OPTIMUM], logs[OURS]).half_width <= NARROW):
            break
    return logs


def _require_same_outputs(setting: Setting, answers: Mapping[str, Answer]) -> None:
    outputs = {peer: answer.outputs for peer, answer in answers.items() if answer.outputs is not None}
    if any(output != outputs[OURS] for output in outputs.values()):
        raise SystemExit(f"the tools generate different tokens with {setting}: {outputs}")


@dataclass(frozen=True)
class Ratio:
    """Geometric mean over the settings, and Student's 95 % interval over the rounds."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Relative."""
        return math.sqrt(self.high / self.low) - 1

    def __str__(self) -> str:
        return f"{self.mean:.3f} (95 % interval {self.low:.3f} to {self.high:.3f})"


def compare(ones: Logs, others: Logs) -> Ratio:
    """The ratio of two tools, from logarithms in pairs: what the settings differ by is no scatter."""
    from scipy.special import stdtrit

    differences = {
        setting: [one - other for one, other in zip(ones[setting], others[setting], strict=True)] for setting in ones
    }
    means = {setting: statistics.fmean(logs) for setting, logs in differences.items()}
    residuals = [log - means[setting] for setting, logs in differences.items() for log in logs]
    freedom = len(residuals) - len(means)
    mean = statistics.fmean(means.values())
    spread = math.sqrt(math.fsum(residual**2 for residual in residuals) / freedom)
    half = float(stdtrit(freedom, 0.975)) * spread / math.sqrt(len(residuals))
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def _greedy(python: Path, model: Path) -> str:
    done = subprocess.run(
        [str(python), "-I", "-c", GREEDY, str(model)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout.strip()
