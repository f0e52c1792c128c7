"""Runs optimum-benchmark, inside its own environment: `python optimum_driver.py LAUNCHER`.

A line of standard input is one experiment, in JSON: model, attn_implementation, batch_size, prompt_tokens,
new_tokens, calls. A line of standard output that begins with RESULT is its answer: the seconds of the measured
calls together by its own stamps, and its joules per call.
"""

from __future__ import annotations

import json
import resource
import sys

from optimum_benchmark import Benchmark, BenchmarkConfig, InferenceConfig, InlineConfig, ProcessConfig, PyTorchConfig

LAUNCHERS = {"process": ProcessConfig, "inline": InlineConfig}


def run(wanted: dict, launcher: str) -> dict:
    # It insists on `min_new_tokens`. Without an end token the library makes no logits processor of it.
    tokens = {"max_new_tokens": wanted["new_tokens"], "min_new_tokens": wanted["new_tokens"], "eos_token_id": None}
    report = Benchmark.launch(
        BenchmarkConfig(
            name="peer",
            launcher=LAUNCHERS[launcher](),
            backend=PyTorchConfig(
                model=wanted["model"],
                task="text-generation",
                library="transformers",
                model_type="llama",
                device="cpu",
                torch_dtype="float32",
                attn_implementation=wanted["attn_implementation"],
            ),
            scenario=InferenceConfig(
                iterations=wanted["calls"],
                duration=0,
                warmup_runs=1,
                input_shapes={"batch_size": wanted["batch_size"], "sequence_length": wanted["prompt_tokens"]},
                latency=True,
                memory=wanted["everything"],
                energy=wanted["everything"],
                generate_kwargs=tokens,
            ),
            log_report=False,
        )
    )
    energy = report.generate.energy
    joules = None if energy is None else energy.total * 3.6e6  # its unit is the kWh
    return {
        "generate_s": sum(report.generate.latency.values),
        "joules_per_call": joules,
        "largest_process_mib": largest_process_mib(),
    }


def largest_process_mib() -> float:
    """Most resident memory so far, of this process or of one that it started and that has ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024


def main() -> None:
    for line in sys.stdin:
        print("RESULT", json.dumps(run(json.loads(line), sys.argv[1])), flush=True)


# Its process launcher starts a fresh interpreter that imports this file again.
if __name__ == "__main__":
    main()
