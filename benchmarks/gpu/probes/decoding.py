"""What generation does on the board: forwards of a prefill-only pass, kernels of attention, caches, CUDA graphs."""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.gpu.probes.model import generator, llama, prompts
from benchmarks.gpu.scale import Scale, cuda_only
from llenergymeasure.engine.generation.batches import make_batches
from llenergymeasure.engine.loading.compilation import counts, since
from llenergymeasure.engine.loading.library_state import LibraryState

STATIC_PASSES = 9
# From this pass on, nothing more may be recorded: the first compiles, the second records.
STEADY_FROM = 3
PROFILED_PASSES, PROFILED_TOKENS = 3, 32
ATTENTION = ("flash", "efficient", "fmha", "cudnn", "attention", "softmax")
# The compiler's count of CUDA graphs, which includes those that were recorded again.
GRAPHS = "graphs_recorded"


def prefill_only(scale: Scale) -> dict[str, Any]:
    """Forward passes of a pass that ends with its first token, and of a whole one.

    The first whole pass is timed apart: in it, cuDNN's attention makes a plan for every length of the cache.
    """
    model = llama(scale)
    run = generator(scale, [scale.prompt_tokens // 4] * scale.rows, scale.decode_tokens)
    run.run_pass(prefill_only=True)
    run.run_pass()
    run.devices.synchronize()
    calls: list[int] = []
    hook = model.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        run.run_pass(prefill_only=True)
        alone = len(calls)
        run.run_pass()
    finally:
        hook.remove()
    run.devices.synchronize()
    _, first_s, prefill_s, all_s = [run.pass_seconds(item) for item in run.take_raw()]
    return {
        "forwards_of_prefill": alone,
        "forwards_of_all": len(calls) - alone,
        "prefill_s": round(prefill_s, 5),
        "first_all_s": round(first_s, 5),
        "all_s": round(all_s, 5),
        "step_s": round((all_s - prefill_s) / (scale.decode_tokens - 1), 6),
    }


def attention(scale: Scale) -> dict[str, Any]:
    """Names of the kernels that scaled dot product attention chose, without and with padding."""
    from torch.profiler import ProfilerActivity, profile

    model, device = llama(scale), next(llama(scale).parameters()).device
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if scale.device == "cuda" else [])]
    table = {}
    for name, lengths in (("equal_lengths", (64, 64)), ("padded", (64, 61))):
        (batch,) = make_batches(prompts(scale, lengths), len(lengths), 0, device)
        settings = {"max_new_tokens": 3, "do_sample": False, "pad_token_id": 0}
        with torch.inference_mode():
            model.generate(batch.input_ids, attention_mask=batch.attention_mask, **settings)
            with profile(activities=activities, acc_events=True) as profiled:
                model.generate(batch.input_ids, attention_mask=batch.attention_mask, **settings)
        keys = {event.key[:100] for event in profiled.key_averages()}
        table[name] = sorted(key for key in keys if any(word in key.lower() for word in ATTENTION))
    return table


def static_cache_length(scale: Scale) -> dict[str, Any]:
    """Peak bytes of the same short static pass before and after a long one: what the library remembers on the model.

    The pipeline resets that between experiments; a ratio above 1 shows that this version needs it.
    """
    cuda_only(scale)

    def peak_bytes(new_tokens: int) -> int:
        run = generator(scale, [128] * 4, new_tokens, cache_implementation="static", disable_compile=True)
        run.devices.reset_peak_memory()
        before = torch.cuda.memory_allocated()
        run.run_pass(prefill_only=True)
        run.devices.synchronize()
        run.close()
        return run.devices.peak_memory_bytes() - before

    fresh = peak_bytes(8)
    peak_bytes(1024)
    later = peak_bytes(8)
    return {"fresh_bytes": fresh, "after_a_longer_one_bytes": later, "ratio": round(later / fresh, 3)}


def graphs(scale: Scale) -> dict[str, Any]:
    """Passes over a new static cache each: whether its CUDA graphs are replayed or recorded again.

    Results are kept, as in a window, and taken once in between, so that the allocator's addresses move. After the first
    pass Python's collector runs, as in the pipeline: the compiler leaves that pass's cache in a reference cycle, and
    later caches lie at other addresses until it is gone.
    """
    cuda_only(scale)
    LibraryState(llama(scale)).reset()  # this question must not see what the one before left on the model
    run = generator(scale, [128] * 4, 24, cache_implementation="static")
    start, rows = counts(), []
    for turn in range(STATIC_PASSES):
        begun_s = time.perf_counter()
        run.run_pass()
        run.devices.synchronize()
        rows.append({"seconds": round(time.perf_counter() - begun_s, 4), **since(start)})
        if turn == 0:
            gc.collect()
        if turn == STATIC_PASSES // 2:
            run.take_raw()
    run.take_raw()
    run.run_pass(prefill_only=True)
    run.devices.synchronize()
    run.close()
    return {"passes": rows, "recorded_after_third_pass": recorded_after(rows), "after_prefill_only": since(start)}


def profiler_cost(scale: Scale) -> dict[str, Any]:
    """Median seconds of a pass of one row before and after a profile of the device's kernels, which no window runs in:
    whether what watches the kernels stays attached to the process. The last question, because of that.
    """
    cuda_only(scale)
    from torch.profiler import ProfilerActivity, profile

    run = generator(scale, [128], PROFILED_TOKENS)

    def median_s() -> float:
        for _ in range(PROFILED_PASSES):
            run.run_pass()
        run.devices.synchronize()
        return statistics.median(run.pass_seconds(item) for item in run.take_raw())

    median_s()
    before_s = median_s()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], acc_events=True):
        run.run_pass(prefill_only=True)
        run.devices.synchronize()
    run.take_raw()
    after_s = median_s()
    return {"before_s": round(before_s, 5), "after_s": round(after_s, 5), "ratio": round(after_s / before_s, 4)}


def recorded_after(rows: Sequence[dict[str, Any]]) -> int | None:
    """CUDA graphs recorded after pass STEADY_FROM, of whatever kind; None where nothing counts them."""
    if GRAPHS not in rows[0]:
        return None
    later = [row[GRAPHS] for row in rows[STEADY_FROM - 1 :]]
    return sum(max(after - before, 0) for before, after in itertools.pairwise(later))


QUESTIONS = {
    "prefill_only": prefill_only,
    "static_cache_length": static_cache_length,
    "graphs": graphs,
    "profiler_cost": profiler_cost,
    # Last: it traces the device, and a profiler that did so stays attached to the process.
    "attention": attention,
}
