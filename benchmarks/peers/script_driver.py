"""A bare script that calls `generate`, inside Zeus's environment: `python script_driver.py bare|zeus`.

With `zeus` a window of ZeusMonitor is around the measured calls, as its documentation shows; `bare` does not import it.
A line of standard input is one experiment, in JSON: model, attn_implementation, batch_size, prompts (texts),
prompt_tokens, new_tokens, warmup_calls, calls. A line of standard output that begins with RESULT is its answer: the
seconds of the measured calls together, the last one's output ids, and the joules that the monitor gives by device.
"""

from __future__ import annotations

import functools
import json
import resource
import sys
import time


@functools.cache
def load(folder: str, kernel: str) -> tuple:
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=kernel)
    return model, transformers.AutoTokenizer.from_pretrained(folder)


@functools.cache
def make_monitor():
    from zeus.monitor import ZeusMonitor

    return ZeusMonitor()


def run(wanted: dict, monitored: bool) -> dict:
    import torch

    model, tokenizer = load(wanted["model"], wanted["attn_implementation"])
    limits = {"truncation": True, "max_length": wanted["prompt_tokens"]}
    inputs = tokenizer(wanted["prompts"], return_tensors="pt", return_token_type_ids=False, **limits)
    # No end token: nothing ends a row early, and no logits processor has to hold one back in every step.
    tokens = {"max_new_tokens": wanted["new_tokens"], "eos_token_id": None, "do_sample": False}

    def generate():
        with torch.inference_mode():
            return model.generate(**inputs, **tokens)

    for _ in range(wanted["warmup_calls"]):
        outputs = generate()
    # Its way to wait for the device needs CUDA; generation on a processor has ended when it returns.
    monitor = make_monitor() if monitored else None
    if monitor is not None:
        monitor.begin_window("generate", sync_execution=False)
    start = time.perf_counter()
    for _ in range(wanted["calls"]):
        outputs = generate()
    seconds = time.perf_counter() - start
    joules = {}
    if monitor is not None:
        window = monitor.end_window("generate", sync_execution=False)
        for kind, energy in (("gpu", window.gpu_energy), ("cpu", window.cpu_energy), ("dram", window.dram_energy)):
            joules.update({f"{kind} {index}": value for index, value in (energy or {}).items()})
        seconds = window.time
    return {
        "generate_s": seconds,
        "outputs": outputs[:, -wanted["new_tokens"] :].tolist(),
        "energy_j": joules,
        "largest_process_mib": largest_process_mib(),
    }


def largest_process_mib() -> float:
    """Most resident memory so far, of this process or of one that it started and that has ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024


def main() -> None:
    for line in sys.stdin:
        print("RESULT", json.dumps(run(json.loads(line), sys.argv[1] == "zeus")), flush=True)


# Zeus may start a fresh interpreter that imports this file again.
if __name__ == "__main__":
    main()
